"""Trains the tiny GAN and dies by SIGKILL in a turn: `python -m tests.generation.dying_gan FOLDER N` dies in the N-th loss."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from sightline.tasks.generative.gan import Gan

from . import tiny_gan

KEYS = ("task.loss=wasserstein", "task.critic_steps=3", "fit.commit_every=2", "fit.ema=0.9", "fit.accumulate=2")
EPOCHS = 3
_loss, _seen = Gan.loss, 0


def dying(task: Gan, batch: Any, turn: str) -> Any:
    """The loss, until the process dies in front of it."""
    global _seen
    _seen += 1
    if _seen == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return _loss(task, batch, turn)


if __name__ == "__main__":
    Gan.loss = dying  # type: ignore[method-assign, assignment]
    tiny_gan.train(Path(sys.argv[1]), *KEYS, name="killed", epochs=EPOCHS)
