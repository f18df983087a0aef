"""Networks for texts, and for texts with images: a family a file. They take numbers of tokens (b, n) with masks."""
