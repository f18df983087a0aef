"""Networks that propose regions and judge them."""
