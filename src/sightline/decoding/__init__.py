"""What networks answer → predictions: suppression, thresholds, arg-max."""
