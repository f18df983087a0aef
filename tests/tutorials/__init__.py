"""Pages of the documentation, run from top to bottom as a reader would."""
