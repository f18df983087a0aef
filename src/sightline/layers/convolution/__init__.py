"""Convolutions, pooling, upsampling, and the blocks made of them."""
