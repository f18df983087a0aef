"""Kinds of task whose answer, or whose question, is a text."""
