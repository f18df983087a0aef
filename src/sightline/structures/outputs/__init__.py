"""What networks answer that detect objects, as tuples of tensors alone."""
