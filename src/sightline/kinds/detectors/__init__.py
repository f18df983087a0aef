"""The families of networks behind the kind `detection`: a file for each, and the list of them."""
