"""What a folder looks like by the names, and where they do not decide, by the contents of its files."""
