"""Editors of attributes that train in seconds: squares that are red or not, large or not.

`python -m tests.generation.tiny_attributes DATA OUT N KEY …` trains, and kills the process in the N-th loss of the critic.
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
from sightline.tasks.generative.attributes import CRITIC, Attributes

KEYS = (
    "task.kind=attributes", "task.critic_steps=2", "data.val=0.2", "data.test=0.2", "fit.batch=8", "fit.device=cpu",
    "fit.precision=fp32", "fit.commit_every=1", "model.options.base=4", "model.options.depth=2", "fit.epochs=2",
)  # fmt: skip
SIDE = 16
NAMES = ("large", "red")


def picture(number: int, *, large: bool, red: bool) -> np.ndarray:
    draw = np.random.default_rng(number)
    side, image = (9 if large else 4), np.zeros((SIDE, SIDE, 3), np.uint8)
    top, left = draw.integers(0, SIDE - side, 2)
    image[top : top + side, left : left + side] = (230, 30, 30) if red else (30, 30, 230)
    return image


def data(folder: Path, n: int = 40) -> Path:
    """pictures/NN.png and labels.csv with a column of 0 and 1 for each attribute."""
    place = folder / "squares"
    place.mkdir(parents=True)
    lines = ["image,large,red"]
    for i in range(n):
        large, red = bool(i % 2), bool(i // 2 % 2)
        Image.fromarray(picture(i, large=large, red=red)).save(place / f"{i:02d}.png")
        lines.append(f"{i:02d}.png,{int(large)},{int(red)}")
    (place / "labels.csv").write_text("\n".join(lines) + "\n")
    return place


def train(folder: Path, *keys: str, out: str = "run", **more: Any) -> sightline.Run:
    where = folder / "squares" if (folder / "squares").exists() else data(folder)
    return sightline.train(where, (*KEYS, *keys), out=folder / out, **more)


def _dying(at: int) -> None:
    loss, computed = Attributes.loss, 0

    def dying(self: Any, batch: Any, turn: str) -> Any:
        nonlocal computed
        computed += turn == CRITIC
        if computed == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return loss(self, batch, turn)

    Attributes.loss = dying  # type: ignore[method-assign]


if __name__ == "__main__":
    _dying(int(sys.argv[3]))
    sightline.train(sys.argv[1], tuple(sys.argv[4:]), out=sys.argv[2])
