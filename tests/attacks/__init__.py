"""Attacks, corruptions and the verb."""
