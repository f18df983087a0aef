"""Segmentation networks, and the classifier trunks that they use."""
