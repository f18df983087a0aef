"""A computational graph of our own: gates with a forward and a backward function, nodes, and the order in which they run.

Everything is numpy in float64 and meant for reading. Training uses torch.autograd, which `tests/lab` holds this against.
"""
