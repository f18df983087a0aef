"""Keyed draws: hash(seed, purpose, integers)."""
