"""Rows of written texts → metrics with intervals, and their file."""
