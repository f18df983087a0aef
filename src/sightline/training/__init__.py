"""A training in its folder: preparation, actions during the loop, and what follows the last step."""
