"""faces: pictures of rendered heads with their landmarks and masks, to train on without anybody's photograph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sightline.data.rendering.faces import write_faces
from sightline.errors import UsageError
from sightline.runs.console import Console

MOST = 100_000  # images
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
    of three splits that share no face. `sightline train OUT task.kind=faces` and `task.kind=segmentation` read it.

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
        write_faces(folder, identities=n, each=each, size=size, seed=seed, progress=phase.at)
    return {"folder": str(folder), "faces": n, "images": n * each, "size": size, "seed": seed, "artificial": True}
