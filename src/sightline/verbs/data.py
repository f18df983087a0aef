"""data: audit a data set as training would: its format, classes, splits and problems."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast, get_args

from sightline.data.dataset import Dataset, Knowledge, obstacles
from sightline.data.formats.passed.sources import name_of_data
from sightline.data.summary import data_json, sizes_text
from sightline.drawing.png import png_bytes
from sightline.errors import UsageError, nearest
from sightline.inference.contact import contact_sheets, stacked
from sightline.kinds.opening import draft, open_dataset, usual_kind
from sightline.kinds.questions.advice import Worse, advise
from sightline.recipes.recipe import Draft
from sightline.runs.console import Console
from sightline.storage.files import make_folder, replace_file, require_place
from sightline.storage.text import printable

_TARGETS: dict[Knowledge, str] = {
    "labels": "one class for each image",
    "masks": "a class for every pixel",
    "boxes": "a box and a class for each object",
    "outlines": "an outline and a class for each object",
    "tags": "several classes for each image",
    "numbers": "a number for each image",
    "columns": "several questions about each image",
    "texts": "a text for each sample",
}


def audit(
    what: Any,
    *,
    show: str | Path | None = None,
    worse: str | None = None,
    allow_network: bool = False,
    console: Console | None = None,
) -> dict[str, Any]:
    """The audit of WHAT, as in `data.json`, with the reasons why training would refuse the data. `show` is a PNG file for
    some images of each split with their classes, boxes or masks, or a folder for a file a split; `allow_network`: fetch
    data at an address that are not in the cache. `worse`, "miss", "false-alarm" or "neither", asks which metric should decide:
    `advice` then has it, with the reason."""
    if worse is not None and worse not in get_args(Worse):
        raise UsageError(f"--worse {worse} is unknown", nearest(worse, get_args(Worse)))
    place = None if show is None else _place(show)
    what = name_of_data(what)
    flags = {
        "data.leaks": "keep",
        "data.allow_network": allow_network or None,
    }  # an audit lists what would stop training
    recipe: Draft = draft(what, (), flags)
    console = console or Console()
    data = open_dataset(recipe, console, whole=True)
    if place is not None:
        _show(data, place)
    refused = [f"training would refuse this: {why}" for why in obstacles(data, draft(what, (), {}).data.leaks)]
    for why in refused:
        console.warn(why)
    found = data_json(data, usual_kind(data.audit.source).name)
    known = data.classes or data.knows == "texts"
    task = f"{_TARGETS[data.knows]} ({found['question']})" if known else "none: the images have no labels"
    if worse is not None:
        counts = tuple(int(n) for n in data.counts().sum(1)) if data.classes else ()
        advice = advise(usual_kind(data.audit.source).name, cast(Worse, worse), counts)
        found["advice"] = None if advice is None else advice.to_json()
    return found | {"task": task, "sizes": sizes_text(data), "notes": [*found["notes"], *refused]}


def _place(show: str | Path) -> Path:
    """A .png file, or a folder for a sheet of each split."""
    path = Path(show)
    if path.suffix and path.suffix.lower() != ".png":
        raise UsageError(f"--show {printable(str(show))} is not a .png file", "name a .png file, or a folder")
    if path.suffix:
        require_place(path)
    elif os.path.lexists(path) and not path.is_dir():
        raise UsageError(f"--show {printable(str(show))} is a file", "name a .png file, or a folder")
    return path


def _show(data: Dataset, place: Path) -> None:
    sheets = contact_sheets(data)
    if place.suffix:
        replace_file(place, png_bytes(stacked(sheets)))
        return
    make_folder(place)
    for split, sheet in sheets.items():
        replace_file(place / f"{split}.png", png_bytes(sheet))
