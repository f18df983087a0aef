"""Detection on regions that are proposed from the pixels."""
