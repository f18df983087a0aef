"""Errata of printed formulas."""
