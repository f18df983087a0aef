"""Mistakes of detectors: their kinds, what fixing each would gain, and objects in a crowd."""
