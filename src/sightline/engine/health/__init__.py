"""How the layers of networks fare while they train, from a few steps of every training."""
