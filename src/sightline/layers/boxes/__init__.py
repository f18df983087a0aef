"""Anchors, matching, regions."""
