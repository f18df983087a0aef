"""Kinds of task that ask how alike images are."""
