"""Detectors that answer at every place of a few maps at once, without proposals."""
