"""Samples made of several images: mosaic, mixup, cutmix."""
