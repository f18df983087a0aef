"""One page for the answer of a verb, in the style of the report."""
