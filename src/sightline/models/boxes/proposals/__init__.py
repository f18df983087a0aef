"""Networks that classify regions which something else has proposed."""
