"""data: look at a data set as training would, without training: what it is, what is wrong with it, how it splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sightline.data.dataset import Dataset, obstacles
from sightline.data.summary import data_json
from sightline.drawing.png import grid, png_bytes
from sightline.errors import UsageError
from sightline.recipes.recipe import Recipe
from sightline.runs.console import Teller
from sightline.storage.files import replace_file, require_place
from sightline.storage.text import shown

from .preparing import choose, draft, open_dataset

SAMPLES = 64


def audit(what: str | Path, *, show: str | Path | None = None, teller: Teller | None = None) -> dict[str, Any]:
    """The audit of WHAT as `data.json` has it, and what training would refuse it for; `show` is a PNG to draw some of its
    images into."""
    if show is not None:
        if Path(show).suffix.lower() != ".png":
            raise UsageError(f"--show {shown(str(show))}: the pictures are drawn as a PNG", "name a file.png")
        require_place(Path(show))
    recipe: Recipe = draft(what, (), {"data.leaks": "keep"})  # an audit names what would stop a training
    teller = teller or Teller()
    data = open_dataset(recipe, teller, whole=True)
    if show is not None:
        replace_file(Path(show), _drawn(data))
    refused = [f"training would refuse this: {why}" for why in obstacles(data, draft(what, (), {}).data.leaks)]
    for why in refused:
        teller.warn(why)
    found = data_json(data)
    return found | {"notes": [*found["notes"], *refused]}


def _drawn(data: Dataset) -> bytes:
    ids = choose(data.ids("train") if len(data.ids("train")) else data.ids(), SAMPLES)
    return png_bytes(grid([data.pixels(int(i)) for i in ids], columns=8))
