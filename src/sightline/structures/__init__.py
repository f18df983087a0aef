"""The data structures of the package: samples, batches, targets, predictions, rows."""
