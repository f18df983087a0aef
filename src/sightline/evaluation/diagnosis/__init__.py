"""Where and why a model fails: slices of the evaluated images, calibration by temperature, shift between splits, more data.

Everything here is a pure function of stored rows and of measurements of the images that were taken while predicting.
"""
