"""Tasks: the loss, prediction, rows and metrics of networks."""
