"""Verbs that judge data and runs beside each other: which labels are wrong, which run is better."""
