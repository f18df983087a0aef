"""Rows of vectors: stored, and judged."""
