"""Networks that score every pixel, and the trunks that they stand on."""
