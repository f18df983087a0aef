"""A GAN that trains in a second: small pictures of two classes, a narrow network, a few steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sightline
from tests.tiny_data import write_folder

KEYS = (
    "task.kind=gan", "model.options.base=2", "task.latent=8", "input.size=28", "data.val=0.25", "data.test=0",
    "fit.batch=8", "fit.device=cpu",
)  # fmt: skip


def data(folder: Path) -> Path:
    """Twenty pictures of each of two classes."""
    return write_folder(folder / "pictures", {"bars": 20, "dots": 20})


def train(folder: Path, *keys: str, name: str = "run", epochs: float = 1, **values: Any) -> sightline.Run:
    where = folder / "pictures" if (folder / "pictures").exists() else data(folder)
    return sightline.train(where, (*KEYS, f"fit.epochs={epochs:g}", *keys), out=folder / name, **values)
