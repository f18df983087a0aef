"""Tasks whose networks make images."""
