"""A task whose process dies by SIGKILL in a turn, and the command that trains it."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import sightline
from sightline.tasks.task import Task


def die_in(task: type[Task], at: int, turn: str) -> None:
    """The process is killed in front of the `at`-th loss of that turn."""
    loss, seen = task.loss, 0

    def mortal(self: Any, batch: Any, name: str) -> Any:
        nonlocal seen
        seen += name == turn
        if seen == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return loss(self, batch, name)

    task.loss = mortal  # type: ignore[method-assign]


def train_and_die(task: type[Task]) -> None:
    """`python -m MODULE DATA OUT AT TURN KEY …`."""
    data, out, at, turn, *keys = sys.argv[1:]
    die_in(task, int(at), turn)
    sightline.train(data, tuple(keys), out=out)
