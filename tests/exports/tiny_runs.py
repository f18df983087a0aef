"""A small run on coloured noise, as a training leaves it, and what an export of it needs."""

from __future__ import annotations

from pathlib import Path

from sightline.exports.assemble import Request
from sightline.exports.parity import Reference
from sightline.kinds.networks import load_task
from sightline.runs.console import Console
from sightline.runs.run import Run
from sightline.verbs import export as verb
from sightline.verbs.train import train
from tests.tiny_data import write_folder

QUIET = Console(level=-2)


def tiny_run(folder: Path, *options: str, model: str = "resnet8") -> Run:
    """Eighteen noise pictures of two classes, three of them measured; two steps of training."""
    data = write_folder(folder / "data", {"cat": 40, "dog": 40})
    overrides = ["input.size=16", "input.channels=3", "fit.batch=4", *options]
    return train(data, overrides, model=model, smoke=True, out=folder / "run", console=QUIET)


def request_for(run: Run) -> Request:
    """As the verb makes it."""
    task = load_task(run)
    sources, origin = verb._images(run, QUIET)
    rows = verb._rows(run, task, sources)
    reference = Reference(sources, origin, run.preprocessing, rows, run.classes)
    return Request(
        task, verb._plan(run, task), verb._shape(run), reference, verb._facts(run, "onnx", "fp32"), "none", QUIET
    )
