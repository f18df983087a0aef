"""The commands that look into a network: what it sees, and how it breaks."""
