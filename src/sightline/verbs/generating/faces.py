"""faces: pictures of rendered heads with their landmarks and masks, to train on without anybody's photograph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from sightline.data.rendering.faces import CLASSES, draw_scene, draw_view, render
from sightline.data.rendering.head import draw_expression, draw_identity
from sightline.drawing.png import png_bytes
from sightline.errors import UsageError
from sightline.runs.console import Console
from sightline.sampling.marks import rendered
from sightline.storage.files import make_folder, replace_file

MOST = 100_000  # images
SHARE, LEAST = 0.15, 2  # of the faces that val and test get, and at least so many: a swap needs two
SMALLEST, LARGEST = 16, 512  # pixels of a side


def faces(
    out: str | Path,
    *,
    n: int = 100,
    each: int = 8,
    size: int = 64,
    seed: int = 0,
    console: Console | None = None,
) -> dict[str, Any]:
    """Render `each` images of `n` faces into OUT: images/, masks/ (background, face, hair), landmarks/ (70 each) and the lists
    of three splits that share no face. `sightline train OUT task.kind=face_swap` and `task.kind=segmentation` read it.

    Images of one face are like frames of one recording: pose and expression change, light and background do not. Image j of
    face i depends on (seed, i, j) only. A .pts file has the layout of 300-W's, with z as a third number. Every image says in
    its metadata that it is artificial.

    UsageError for a folder that is not empty, or numbers outside of their range.
    """
    console, folder = console or Console(), Path(out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{out} is not empty", "name a new folder")
    if not SMALLEST <= size <= LARGEST:
        raise UsageError(f"--size is {size}", f"use {SMALLEST} to {LARGEST} pixels")
    if n * each > MOST:
        raise UsageError(f"{n:,} faces of {each:,} images are too many", f"use at most {MOST:,} images together")
    with console.working(f"rendering {n * each:,} images", n * each) as phase:
        _write(folder, identities=n, each=each, size=size, seed=seed, progress=phase.at)
    return {"folder": str(folder), "faces": n, "images": n * each, "size": size, "seed": seed, "artificial": True}


def _write(
    out: Path,
    *,
    identities: int,
    each: int,
    size: int,
    seed: int,
    progress: Callable[[int], None],
) -> None:
    """Write images/NNN_NN.png (identity, number), masks/, landmarks/*.pts, classes.txt, train.txt, val.txt and test.txt."""
    mark = rendered()
    few = max(round(SHARE * identities), LEAST)
    if identities < 3 * LEAST or each < 2:
        raise UsageError(
            f"{identities} faces of {each} images cannot be split", f"use at least {3 * LEAST} faces of 2 images"
        )
    for folder in ("images", "masks", "landmarks"):
        make_folder(out / folder)
    splits: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for i in range(identities):
        draw = np.random.default_rng([seed, i])
        own, scene = draw_identity(draw), draw_scene(draw)
        split = "test" if i >= identities - few else "val" if i >= identities - 2 * few else "train"
        for j in range(each):
            draw = np.random.default_rng([seed, i, j])
            made = render(own, draw_expression(draw), draw_view(draw, scene), size=size)
            name = f"{i:03d}_{j:02d}"
            replace_file(out / "images" / f"{name}.png", png_bytes(made.image, mark))
            replace_file(out / "masks" / f"{name}.png", png_bytes(made.mask[..., None]))
            replace_file(out / "landmarks" / f"{name}.pts", _pts_text(made.landmarks).encode())
            splits[split].append(name)
            progress(i * each + j + 1)
    replace_file(out / "classes.txt", ("\n".join(CLASSES) + "\n").encode())
    for name, members in splits.items():
        replace_file(out / f"{name}.txt", ("\n".join(members) + "\n").encode())


def _pts_text(landmarks: Float[np.ndarray, "k 3"]) -> str:
    rows = "\n".join(" ".join(f"{value:.3f}" for value in row) for row in landmarks)
    return f"version: 1\nn_points: {len(landmarks)}\n{{\n{rows}\n}}\n"
