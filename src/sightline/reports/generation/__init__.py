"""What the report says of networks that make images."""
