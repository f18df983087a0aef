"""Generated images: how close they are to the true ones, which modes sets of them reach, and which training images they repeat."""
