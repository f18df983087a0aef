"""Predictions with their targets on the host, a row an image or less: what is stored, judged and compared."""
