"""What a heat map must be compared with before it means anything."""
