"""Vectors → class scores."""
