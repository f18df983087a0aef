"""What does a network make? Images from noise: keyed by (seed, index), in chunks of a fixed size, whatever the network."""
