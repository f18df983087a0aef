"""From a request of the command line to an attack and its page: a file for each family of methods."""
