"""Networks with shortcuts: ResNet and its descendants, DenseNet."""
