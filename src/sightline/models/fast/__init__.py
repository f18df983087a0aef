"""Networks for the shortest time to an accuracy."""
