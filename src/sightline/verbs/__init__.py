"""One file a verb: build → fit → judge → tell."""
