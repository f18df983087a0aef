"""A run's networks as graphs in files, and the gate that proves them equal before anyone gets them."""
