"""Styles that are learned in seconds, in features of a small network with weights of chance. As a command: see `mortal`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

import sightline
from sightline.models.create import create_model
from sightline.tasks.generative.style import Style

from .mortal import train_and_die

SIDE = 32
KEYS = (
    "task.kind=style", "task.features=resnet8", "input.size=32", "fit.batch=4", "fit.epochs=2", "fit.device=cpu",
    "fit.precision=fp32", "fit.commit_every=1", "model.options.base=4",
)  # fmt: skip


def _written(folder: Path, n: int, seed: int, how: Image.Resampling) -> Path:
    if not folder.exists():
        folder.mkdir()
        for i in range(n):
            cells = np.random.default_rng([seed, i]).integers(0, 256, (5, 5, 3)).astype(np.uint8)
            name = f"{i:02d}.png" if n > 9 else f"{i}.png"
            Image.fromarray(cells).resize((SIDE, SIDE), how).save(folder / name)
    return folder


def contents(folder: Path) -> Path:
    return _written(folder / "content", 12, 0, Image.Resampling.BICUBIC)


def styles(folder: Path) -> Path:
    return _written(folder / "styles", 2, 1, Image.Resampling.NEAREST)


def weights(folder: Path) -> Path:
    """Of the feature network."""
    path = folder / "features.pth"
    if not path.exists():
        torch.save(create_model("resnet8", in_channels=3).state_dict(), path)
    return path


def train(folder: Path, *keys: str, out: str) -> sightline.Run:
    own = (
        ()
        if any(key.startswith("task.feature_weights") for key in keys)
        else (f"task.feature_weights={weights(folder)}",)
    )
    return sightline.train(contents(folder), (*KEYS, *own, *keys), out=folder / out)


if __name__ == "__main__":
    train_and_die(Style)
