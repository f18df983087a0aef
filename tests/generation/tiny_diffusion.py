"""Diffusion and autoencoders that train in a second: pictures of 8x8 of two classes, narrow networks, a few steps.

`python -m tests.generation.tiny_diffusion DATA OUT N KEY …` trains, and kills the process in the N-th loss that it computes.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import sightline
from sightline.tasks.generative.diffusion import Diffusion
from sightline.tasks.task import Loss
from tests.tiny_data import write_folder

SIDE = ("input.size=8", "data.val=0.25", "data.test=0", "fit.batch=8", "fit.device=cpu", "fit.precision=fp32")
DIFFUSION = (
    *SIDE, "task.kind=diffusion", "task.sampling_steps=3", "model.options.widths=8,16", "model.options.groups=4",
    "model.options.head=8",
)  # fmt: skip
AUTOENCODER = (*SIDE, "task.kind=autoencoder", "model.options.widths=8,8", "model.options.groups=4")
CAPTIONS = ("a red bar", "a blue bar")


def data(folder: Path) -> Path:
    """Sixteen pictures of each of two captions, which are their classes."""
    return write_folder(folder / "pictures", dict.fromkeys(CAPTIONS, 16))


def train(folder: Path, *keys: str, out: str = "run", usual: tuple[str, ...] = DIFFUSION, **more: Any) -> sightline.Run:
    where = folder / "pictures" if (folder / "pictures").exists() else data(folder)
    return sightline.train(where, (*usual, "fit.epochs=1", *keys), out=folder / out, **more)


def _dying(at: int) -> None:
    computed, loss = 0, Diffusion.loss

    def mortal(self: Diffusion, batch: Any, turn: str = "model") -> Loss:
        nonlocal computed
        computed += 1
        if computed == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return loss(self, batch, turn)

    Diffusion.loss = mortal  # type: ignore[method-assign]


if __name__ == "__main__":
    _dying(int(sys.argv[3]))
    sightline.train(sys.argv[1], tuple(sys.argv[4:]), out=sys.argv[2])
