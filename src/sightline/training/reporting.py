"""Write a run's report and model card, with images from its data if they are available."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from sightline.data.dataset import Dataset
from sightline.errors import SightlineError
from sightline.kinds.reporting import chapter_of, content_of
from sightline.reports.build import render
from sightline.reports.card import render_card
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.runs.run import Run
from sightline.storage.files import replace_file


def write_report(run: Run, data: Dataset | None, *, evaluation: SplitEvaluation | None = None) -> None:
    """report.html and README.md; `evaluation` saves evaluating the predictions again."""
    places = {record.name: id for id, record in enumerate(data.records)} if data is not None else {}

    def load_image(name: str) -> UInt8[np.ndarray, "h w c"] | None:
        if data is None or name not in places:
            return None
        try:
            return data.pixels(places[name])
        except SightlineError:  # the file has been removed or changed since the audit
            return None

    content, chapter = content_of(run.folder, evaluation=evaluation), chapter_of(run.folder)
    replace_file(run.folder / "report.html", render(content, chapter, load_image=load_image).encode())
    replace_file(run.folder / "README.md", render_card(content, chapter).encode())
