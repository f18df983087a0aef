"""Finding the files that a data set names: walking folders, matching names, lists, encodings of text."""
