"""Networks that propose regions and classify them."""
