"""report: write a run's HTML report and model card again from the files in its folder."""

from __future__ import annotations

from pathlib import Path

from sightline.data.dataset import Dataset
from sightline.errors import SightlineError
from sightline.kinds.opening import open_dataset, same_data
from sightline.runs.console import Console
from sightline.runs.run import Run, open_run
from sightline.runs.study import is_study
from sightline.training.reporting import write_report

from .studies.judged import report_study


def report(run: Run | str | Path, *, console: Console | None = None) -> Path:
    """Write `report.html` and `README.md`, or the page of a study; returns the page's path. If the data are gone, pictures are
    left out."""
    if is_study(run):
        return report_study(str(run))
    run, console = run if isinstance(run, Run) else open_run(run), console or Console()
    data: Dataset | None = None
    try:
        data = open_dataset(run.recipe, console)
        same_data(run, data)
    except SightlineError as error:
        console.warn(f"the report will have no pictures of mistakes: {error}")
        data = None
    write_report(run, data)
    return run.folder / "report.html"
