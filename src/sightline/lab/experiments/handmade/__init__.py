"""Features made by hand: what was thought of before it was learned."""
