"""Classes for every pixel: lists of classes, tables of colours, and the published trees of well-known data sets."""
