"""Gradients and back-propagation."""
