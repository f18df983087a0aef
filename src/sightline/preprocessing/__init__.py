"""File → pixels in the network's frame and back; the normalisation before every network."""
