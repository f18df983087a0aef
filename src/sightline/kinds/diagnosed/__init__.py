"""What diagnosis needs to know of each kind: how well every image was answered."""
