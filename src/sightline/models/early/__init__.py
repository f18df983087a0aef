"""Networks without shortcuts, 1989 to 2014."""
