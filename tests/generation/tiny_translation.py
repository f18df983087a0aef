"""Translations that train in seconds: digits as bars, and the same in other colours; narrow networks, a few steps.

`python -m tests.generation.tiny_translation DATA OUT N TURN KEY …` trains, and kills the process in the N-th loss of that turn.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import sightline
from sightline.tasks.generative.translation import CycleTranslation, PairedTranslation
from sightline.tasks.task import Loss

KEYS = (
    "task.kind=translation", "data.val=0.2", "data.test=0.2", "fit.batch=4", "fit.device=cpu", "fit.precision=fp32",
    "model.options.base=4",
)  # fmt: skip
CYCLE = (*KEYS, "task.method=cyclegan", "task.pool=3", "model.options.blocks=1")
SIDE = 16


def picture(number: int) -> np.ndarray:
    """A bright rectangle on black, different for each number."""
    draw = np.random.default_rng(number)
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    top, left = draw.integers(0, SIDE // 2, 2)
    high, wide = draw.integers(3, SIDE // 2, 2)
    image[top : top + high, left : left + wide] = draw.integers(128, 256)
    return image


def data(folder: Path, n: int = 20, *, partners: bool = True) -> Path:
    """plain/NN.png and negative/NN.png; without partners, of other pictures under other names."""
    for i in range(n):
        for domain, image in (("plain", picture(i)), ("negative", 255 - picture(i if partners else n + i))):
            name = f"{i:02d}.png" if partners or domain == "plain" else f"other{i:02d}.png"
            (folder / "pictures" / domain).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / "pictures" / domain / name)
    return folder / "pictures"


def train(folder: Path, *keys: str, out: str = "run", usual: tuple[str, ...] = KEYS, **more: Any) -> sightline.Run:
    where = folder / "pictures" if (folder / "pictures").exists() else data(folder)
    return sightline.train(where, (*usual, "fit.epochs=2", *keys), out=folder / out, **more)


def _dying(at: int, turn: str) -> None:
    computed = 0

    def mortal(loss: Any) -> Any:
        def dying(self: Any, batch: Any, name: str) -> Loss:
            nonlocal computed
            computed += name == turn
            if computed == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return loss(self, batch, name)  # type: ignore[no-any-return]

        return dying

    for task in (PairedTranslation, CycleTranslation):
        task.loss = mortal(task.loss)  # type: ignore[method-assign]


if __name__ == "__main__":
    _dying(int(sys.argv[3]), sys.argv[4])
    sightline.train(sys.argv[1], tuple(sys.argv[5:]), out=sys.argv[2])
