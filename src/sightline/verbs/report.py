"""report: write a run's one HTML page and its model card anew, from what is in its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from sightline.data.dataset import Dataset
from sightline.drawing.png import grid, png_bytes
from sightline.errors import SightlineError
from sightline.reports.build import render
from sightline.reports.card import render_card
from sightline.reports.content import read_content
from sightline.runs.console import Teller
from sightline.runs.run import Run, open_run
from sightline.storage.files import replace_file
from sightline.structures.batch import Batch
from sightline.structures.targets import Labels

from .pictures import told, truth_drawn
from .preparing import open_dataset, same_data

SHOWN = 32  # images of the first training batch that the report shows


def report(run: Run | str | Path, *, teller: Teller | None = None) -> Path:
    """Write `report.html` and `README.md`; returns the page's path. Where the data is gone, pictures are left out."""
    run, teller = run if isinstance(run, Run) else open_run(run), teller or Teller()
    data: Dataset | None = None
    try:
        data = open_dataset(run.recipe, teller)
        same_data(run, data)
    except SightlineError as error:
        teller.warn(f"the report has no pictures of mistakes: {error}")
        data = None
    return write_report(run, data)


def write_report(run: Run, data: Dataset | None) -> Path:
    places = {record.name: id for id, record in enumerate(data.records)} if data is not None else {}

    def picture(name: str) -> UInt8[np.ndarray, "h w c"] | None:
        if data is None or name not in places:
            return None
        try:
            return data.pixels(places[name])
        except SightlineError:  # the file went, or changed, since the audit
            return None

    page, content = run.folder / "report.html", read_content(run.folder)
    replace_file(page, render(content, picture=picture).encode())
    replace_file(run.folder / "README.md", render_card(content).encode())
    return page


def sample_batch(run: Run, batch: Batch, data: Dataset) -> None:
    """samples/batch.png and .json: the first training images as the network sees them, augmentation included."""
    folder = run.folder / "samples"
    folder.mkdir(exist_ok=True)
    shown = range(min(len(batch), SHOWN))
    columns = 8 if isinstance(batch.target, Labels) else 4
    replace_file(folder / "batch.png", png_bytes(grid([truth_drawn(batch, row) for row in shown], columns=columns)))
    rows = [
        {"id": i, "name": data.records[i].name, "label": told(batch.target, row, data.classes)}
        for row, i in enumerate(batch.id[:SHOWN].tolist())
    ]
    run.write_json("samples/batch.json", rows)
