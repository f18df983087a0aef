"""The picture of docs/augmentation.md: training samples as a network gets them, made of several images.

    SIGHTLINE_DATA=… python benchmarks/augmentation.py        seconds; needs bccd and cifar10

Rows: cells as they are, in mosaics, and through each other (boxes drawn as in a run's samples/batch.png); CIFAR-10 with
mixup, CutMix and Cutout, and after RandAugment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sightline.data.stream import Stream
from sightline.drawing.png import enlarged, grid
from sightline.kinds.kind import plain
from sightline.kinds.opening import choose_kind, complete, draft, open_dataset, traits_of
from sightline.preprocessing.saved import Preprocessing
from sightline.recipes.assembly import build_geometry, build_order
from sightline.recipes.augmenting import build_augment
from sightline.recipes.loading import choose
from sightline.runs.console import Console

OUT = Path(__file__).parents[1] / "docs" / "augmentation.png"
IMAGES, COLUMNS, WIDTH, COLOURS = 64, 4, 220, 96
BOXES: list[dict[str, Any]] = [
    {"augment.preset": "none"},
    {"augment.mosaic": 1.0, "augment.mosaic_scale": [0.5, 1.5], "augment.preset": "none"},
    {"augment.mixup": 1.0, "augment.preset": "none"},
]
CLASSES: list[dict[str, Any]] = [
    {"augment.mixup": 1.0},
    {"augment.cutmix": 1.0},
    {"augment.cutout": 0.5},
    {"augment.policy": "rand-m9-n2"},
]


def row(what: str, keys: Mapping[str, Any]) -> tuple[list[np.ndarray], list[str]]:
    """The first samples of a training with these keys, and what is known of each."""
    given = draft(what, keys, {})
    data = open_dataset(given, Console(-1))
    kind = choose_kind(given, data.audit.source)
    recipe = complete(given, kind, traits_of(data))
    channels, ids = recipe.input.channels, choose(data.ids("train"), IMAGES)
    raw = Preprocessing(build_geometry(recipe), (0.0,) * channels, (1.0,) * channels, channels, depth=data.audit.depth)
    images = kind.load(data, ids, raw, recipe, truths=kind.truths, judging=False)
    augmentation = build_augment(recipe, steps=1_000, classes=len(data.classes))
    order = build_order(recipe, images.index.numpy(), data.counts()[:, 0])
    invite = partial(augmentation.partners, seed=recipe.seed)
    batch = augmentation(Stream(images, order, len(images), COLUMNS, recipe.seed, invite=invite).batch(0), recipe.seed)
    pictures = [kind.drawings.truth(batch, i, data.classes) for i in range(COLUMNS)]
    if kind.truths is None:
        pictures = [enlarged(plain(batch, i)) for i in range(COLUMNS)]
    return pictures, [kind.drawings.label(batch.target, i, data.classes) or "" for i in range(COLUMNS)]


def main() -> None:
    folder = Path(os.environ["SIGHTLINE_DATA"])
    rows = [row(str(folder / "bccd"), keys) for keys in BOXES] + [row("cifar10", keys) for keys in CLASSES]
    pictures = [picture for some, _ in rows for picture in some]
    captions = [caption for _, some in rows for caption in some]
    sheet = Image.fromarray(grid(pictures, columns=COLUMNS, most=WIDTH, captions=captions))
    sheet.quantize(COLOURS, dither=Image.Dither.NONE).save(OUT, optimize=True)
    print(f"{OUT}: {len(pictures)} samples")


if __name__ == "__main__":
    main()
