"""Questions that take many trainings: which settings are best, how results vary with the images and the seed."""
