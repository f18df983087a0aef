"""Attacks that only ask for scores."""
