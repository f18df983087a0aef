"""Attention and what goes with it: scores, heads, positions, patches."""
