"""The problems of a data set: every image is decoded, every annotation read, copies and leaks are found."""
