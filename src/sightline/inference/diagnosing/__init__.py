"""What is noted of a split while it is predicted, and what it says: slices, temperature, shift."""
