"""Optimisers that torch does not have, or not for convolutions. All decay weights apart from the gradient."""
