"""A run folder → its report and model card, with the chapter of its kind of task."""

from __future__ import annotations

from pathlib import Path

from sightline.reports.build import render
from sightline.reports.card import render_card
from sightline.reports.chapter import Chapter, ImageLookup
from sightline.reports.content import RunContent, read_content
from sightline.reports.reading import RunFiles, as_mapping, as_text
from sightline.reports.split_evaluation import SplitEvaluation

from .catalogue import KINDS
from .kind import Kind


def content_of(folder: Path, *, evaluation: SplitEvaluation | None = None) -> RunContent:
    """The content of a run's report. DamagedError if the folder is not a run; other problems are listed in the content."""
    kind = _kind(folder)
    rows = kind.scoring.rows if kind.scoring is not None else None
    return read_content(folder, rows, evaluation=evaluation)


def chapter_of(folder: Path) -> Chapter:
    """What the report says of the run's kind of task only. DamagedError if the folder is not a run."""
    return _kind(folder).chapter


def _kind(path: Path) -> Kind:
    """The kind of task from run.json, or else from the recipe: reports must work when files are damaged."""
    folder = RunFiles(path)
    folder.require()
    names = [as_text(as_mapping(folder.json("run.json")).get("task"))]
    names.append(as_text(as_mapping(as_mapping(folder.yaml("recipe.yaml")).get("task")).get("kind")))
    return next((KINDS[name] for name in names if name in KINDS), next(iter(KINDS.values())))


def build_report(folder: Path, *, load_image: ImageLookup) -> str:
    """The report of a run as HTML text; nothing is written. `load_image(name)` returns the uint8 (h, w, c) image of that
    name in the data, None if it is unavailable. Raises DamagedError if the folder is no run."""
    return render(content_of(folder), chapter_of(folder), load_image=load_image)


def build_card(folder: Path) -> str:
    """The model card of a run as Markdown; nothing is written. Raises DamagedError if the folder is no run."""
    return render_card(content_of(folder), chapter_of(folder))
