"""Data that come packed: archives, files at addresses, the shards of WebDataset."""
