"""Is it good? Metrics of rows with intervals, per class and calibrated."""
