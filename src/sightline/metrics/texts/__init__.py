"""How far a written text is from the true one."""
