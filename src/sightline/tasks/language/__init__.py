"""Tasks whose answer, or whose question, is a text."""
