"""Pixels → vectors."""
