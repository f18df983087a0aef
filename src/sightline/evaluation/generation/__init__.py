"""Judging networks that make images: distances between sets, and figures of single images."""
