"""`explain` without an image: the images and layers of a run, and each method on them."""
