"""Several questions about one image."""
