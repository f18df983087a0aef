"""The experiments, a folder a topic and a file an experiment."""
