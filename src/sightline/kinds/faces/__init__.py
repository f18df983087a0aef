"""Kinds of task about faces."""
