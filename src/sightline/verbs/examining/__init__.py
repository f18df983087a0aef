"""`explain` without an image: what is gathered of a run, and each method on it."""
