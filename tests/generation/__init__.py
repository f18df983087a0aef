"""Networks that make images: kinds, samplers, and what judges them."""
