"""What is wrong with a data set: every image decoded, every annotation read, copies and leaks found."""
