"""Detectors that predict all objects of an image as a set, by attention."""
