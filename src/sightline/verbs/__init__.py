"""The verbs of the command line and of `api`, one file each."""
