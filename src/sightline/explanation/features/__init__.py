"""What a network's units respond to, over many images and without a question about one of them."""
