"""The score that `explain` explains, for each kind of task that has one."""
