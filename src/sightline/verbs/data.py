"""data: look at a data set as training would, without training: what it is, what is wrong with it, how it splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sightline.data.dataset import Dataset, obstacles
from sightline.data.summary import data_json
from sightline.drawing.png import grid, png_bytes
from sightline.errors import UsageError
from sightline.kinds.opening import draft, open_dataset, usual_kind
from sightline.recipes.loading import choose
from sightline.recipes.recipe import Draft
from sightline.runs.console import Console
from sightline.storage.files import replace_file, require_place
from sightline.storage.text import shown

SAMPLES = 64


def audit(what: str | Path, *, show: str | Path | None = None, console: Console | None = None) -> dict[str, Any]:
    """The audit of WHAT as `data.json` has it, and what training would refuse it for; `show` is a PNG to draw some of its
    images into."""
    if show is not None:
        if Path(show).suffix.lower() != ".png":
            raise UsageError(f"--show {shown(str(show))}: the pictures are drawn as a PNG", "name a file.png")
        require_place(Path(show))
    recipe: Draft = draft(what, (), {"data.leaks": "keep"})  # an audit names what would stop a training
    console = console or Console()
    data = open_dataset(recipe, console, whole=True)
    if show is not None:
        replace_file(Path(show), _drawn(data))
    refused = [f"training would refuse this: {why}" for why in obstacles(data, draft(what, (), {}).data.leaks)]
    for why in refused:
        console.warn(why)
    found = data_json(data, usual_kind(data.audit.source).name)
    return found | {"notes": [*found["notes"], *refused]}


def _drawn(data: Dataset) -> bytes:
    ids = choose(data.ids("train") if len(data.ids("train")) else data.ids(), SAMPLES)
    return png_bytes(grid([data.pixels(int(i)) for i in ids], columns=8))
