"""Data that are passed from Python as objects: arrays, torch data sets, lists of paths."""
