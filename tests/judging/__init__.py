"""Judging data and runs beside each other."""
