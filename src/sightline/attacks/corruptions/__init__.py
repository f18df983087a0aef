"""Fifteen corruptions of five severities."""
