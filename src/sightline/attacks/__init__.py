"""How does a network break? Attacks, corruptions and controlled change, on functions from pixels to scores."""
