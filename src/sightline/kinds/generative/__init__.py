"""Kinds of task whose networks make images, one file each."""
