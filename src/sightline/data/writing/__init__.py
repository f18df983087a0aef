"""Writers of data sets: the same images, classes, splits and annotations in the form of another program."""
