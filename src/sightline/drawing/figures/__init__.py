"""Figures that are no charts: graphs of nodes, and pictures that move."""
