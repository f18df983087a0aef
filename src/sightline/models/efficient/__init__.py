"""Networks designed for few multiply-adds."""
