"""What a network is asked: loss, prediction, rows, metrics, pictures."""
