"""Sections about answers that are no single class: several labels for each image, and numbers."""
