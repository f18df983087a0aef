"""Losses of single-shot detectors and of detection as a set."""
