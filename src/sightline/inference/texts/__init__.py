"""Texts in, predictions out: what is asked about where a run reads texts."""
