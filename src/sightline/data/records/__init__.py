"""What a data set is: records, classes, annotations, names."""
