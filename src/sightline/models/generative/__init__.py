"""Networks that make images, one family a file."""
