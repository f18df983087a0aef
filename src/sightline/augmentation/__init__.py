"""Batch → batch on the device, each sample with its own keyed draws."""
