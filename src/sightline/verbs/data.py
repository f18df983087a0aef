"""data: audit a data set as training would: its format, classes, splits and problems."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sightline.data.dataset import Dataset, Knowledge, obstacles
from sightline.data.formats.passed.sources import name_of_data
from sightline.data.summary import data_json, sizes_text
from sightline.drawing.png import grid, png_bytes
from sightline.errors import UsageError
from sightline.kinds.opening import draft, open_dataset, usual_kind
from sightline.recipes.loading import choose
from sightline.recipes.recipe import Draft
from sightline.runs.console import Console
from sightline.storage.files import replace_file, require_place
from sightline.storage.text import printable

SAMPLES = 64
_TARGETS: dict[Knowledge, str] = {
    "labels": "one class for each image",
    "masks": "a class for every pixel",
    "boxes": "a box and a class for each object",
    "outlines": "an outline and a class for each object",
    "tags": "several classes for each image",
    "numbers": "a number for each image",
}


def audit(
    what: Any, *, show: str | Path | None = None, allow_network: bool = False, console: Console | None = None
) -> dict[str, Any]:
    """The audit of WHAT, as in `data.json`, with the reasons why training would refuse the data. `show` is a PNG file to
    write a sheet of sample images to; `allow_network`: fetch data at an address that are not in the cache."""
    if show is not None:
        if Path(show).suffix.lower() != ".png":
            raise UsageError(f"--show {printable(str(show))} is not a .png file", "name a .png file")
        require_place(Path(show))
    what = name_of_data(what)
    flags = {
        "data.leaks": "keep",
        "data.allow_network": allow_network or None,
    }  # an audit lists what would stop training
    recipe: Draft = draft(what, (), flags)
    console = console or Console()
    data = open_dataset(recipe, console, whole=True)
    if show is not None:
        replace_file(Path(show), _sheet(data))
    refused = [f"training would refuse this: {why}" for why in obstacles(data, draft(what, (), {}).data.leaks)]
    for why in refused:
        console.warn(why)
    found = data_json(data, usual_kind(data.audit.source).name)
    task = f"{_TARGETS[data.knows]} ({found['question']})" if data.classes else "none: the images have no labels"
    return found | {"task": task, "sizes": sizes_text(data), "notes": [*found["notes"], *refused]}


def _sheet(data: Dataset) -> bytes:
    ids = choose(data.ids("train") if len(data.ids("train")) else data.ids(), SAMPLES)
    return png_bytes(grid([data.pixels(int(i)) for i in ids], columns=8))
