"""One training in its folder: what happens beside the steps, and after the last one."""
