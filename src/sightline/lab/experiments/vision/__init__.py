"""Seeing: from cells to features."""
