"""The page of an explanation: rows of maps over the images, each with its scale and its controls."""
