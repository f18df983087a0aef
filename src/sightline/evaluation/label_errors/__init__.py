"""Which labels are probably wrong: rankings of classes, boxes and masks from predictions for images outside of training."""
