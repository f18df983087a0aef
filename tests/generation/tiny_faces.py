"""Faces that train in seconds: 32 pixels, narrow networks, a few steps. As a command: see `mortal`."""

from __future__ import annotations

from pathlib import Path

import sightline
from sightline.tasks.faces.swapping import FaceSwap

from .mortal import train_and_die

SIZE = 32
KEYS = (
    "task.kind=face_swap", "input.size=32", "model.options.base=3", "model.options.segmenter=4", "fit.batch=4",
    "fit.device=cpu", "fit.precision=fp32", "fit.epochs=2", "fit.commit_every=1",
)  # fmt: skip


def data(folder: Path) -> Path:
    if not (folder / "faces").exists():
        sightline.faces(folder / "faces", n=7, each=2, size=SIZE)
    return folder / "faces"


def train(folder: Path, *keys: str, out: str = "run") -> sightline.Run:
    return sightline.train(data(folder), (*KEYS, *keys), out=folder / out)


if __name__ == "__main__":
    train_and_die(FaceSwap)
