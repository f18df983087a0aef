"""Rows of predictions → metrics with intervals, overall and by class."""
