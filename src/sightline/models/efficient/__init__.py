"""Networks made for few multiply-adds."""
