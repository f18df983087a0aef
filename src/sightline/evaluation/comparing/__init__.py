"""Several networks on the same images: which is better, and what they are worth together."""
