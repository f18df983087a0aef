"""What flows: samples, batches, targets, predictions, rows."""
