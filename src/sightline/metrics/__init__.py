"""Count metrics, rates, curves and calibration as pure functions of arrays."""
