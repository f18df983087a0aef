"""The audit of a data set: every image is decoded, every annotation read; copies and leaks are detected."""
