"""Pictures that are made to be classified as something: patches and fooling noise."""
