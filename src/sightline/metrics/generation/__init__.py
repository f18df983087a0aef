"""Sets of generated images: which modes they reach, and which training images they repeat."""
