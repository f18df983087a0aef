"""Verbs that assess data and runs: which labels are wrong, which run is better, what more data would give."""
