"""Attention and its parts: scores, heads, position embeddings, patches."""
