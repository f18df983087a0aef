"""Heat maps of one image: which pixels does a score depend on? One idea a file, each method a pure function."""
