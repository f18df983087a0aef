"""Attacks that follow the gradient of the loss with respect to the pixels."""
