"""Assessing data and runs: labels, comparisons."""
