"""Images that are computed, with everything known about them."""
