"""One file a task: what every room above needs to know of it."""
