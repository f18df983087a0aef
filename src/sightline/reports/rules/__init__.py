"""The rules of the verdict: facts in, findings out."""
