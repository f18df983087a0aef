"""A run folder as one frozen structure: all that the report and the model card may say, and nothing computed twice.

Every part may be missing (an unfinished run, a rehearsal, a run without a test split, a damaged file); what is missing
is None or empty, and `problems` holds a sentence for what was there and could not be used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.drawing.png import reencoded
from sightline.errors import SightlineError
from sightline.evaluation.judgement import Judgement, judge
from sightline.evaluation.predictions import read_rows
from sightline.recipes.run import Run
from sightline.structures.predictions import ClassRows

from .reading import Folder, mapping, real, sequence, whole, words

SPLITS = ("train", "val", "test")
CONFLICT = "label-conflict"  # how the reason of a problem begins when equal pictures have different labels


@dataclass(frozen=True)
class RunFacts:
    """run.json. `place` is how commands name the folder: `runs/<name>`, or its own name where it lies elsewhere."""

    place: str
    name: str
    status: str
    task: str
    step: int
    smoke: bool
    seconds: float | None
    images_per_second: float | None
    reason: str


@dataclass(frozen=True)
class Problem:
    """A file or line of the data that could not be used as it was."""

    file: str
    line: str
    reason: str
    fix: str
    action: str


@dataclass(frozen=True)
class DataFacts:
    """data.json. `counts` is class → split → images; `duplicates` counts groups of equal pictures."""

    name: str
    kind: str
    n: int
    used: int
    quarantined: int
    classes: tuple[str, ...]
    splits: Mapping[str, int]
    counts: Mapping[str, Mapping[str, int]]
    duplicates: int
    conflicts: int
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    hash: str


@dataclass(frozen=True)
class Layer:
    """A row of the model table."""

    name: str
    kind: str
    output: str
    parameters: float | None
    multiply_adds: float | None
    receptive_field: str


@dataclass(frozen=True)
class ModelFacts:
    """model/config.json."""

    name: str
    options: Mapping[str, Any]
    parameters: float | None
    multiply_adds: float | None
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Judged:
    """The rows of one split and what they amount to; `names[i]` is the file of row i."""

    split: str
    rows: ClassRows
    names: tuple[str, ...]
    classes: tuple[str, ...]
    judgement: Judgement


@dataclass(frozen=True)
class BatchSheet:
    """samples/batch.png, encoded anew, and what it shows in reading order."""

    png: bytes
    names: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Content:
    """Everything that the report tells."""

    run: RunFacts
    recipe: Mapping[str, Any]
    recipe_text: str
    environment: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, float | None]]
    history: tuple[Mapping[str, float | None], ...]
    data: DataFacts | None
    model: ModelFacts | None
    judged: Judged | None
    batch: BatchSheet | None
    problems: tuple[str, ...]


def read_content(path: Path) -> Content:
    """Read a run folder. Raises DamagedError when it is none; anything else that is wrong is told in `problems`."""
    folder = Folder(path)
    folder.require()
    return Content(
        run=_run(path.resolve(), mapping(folder.json("run.json")), folder),
        recipe=mapping(folder.yaml("recipe.yaml")),
        recipe_text=folder.text("recipe.yaml"),
        environment=mapping(folder.json("environment.json")),
        metrics=_metrics(mapping(folder.json("metrics.json"))),
        history=tuple(folder.table("history.csv")),
        data=_data(mapping(folder.json("data.json"))),
        model=_model(mapping(folder.json("model/config.json"))),
        judged=_judged(folder),
        batch=_batch(folder),
        problems=tuple(folder.problems),
    )


def _run(path: Path, raw: Mapping[str, Any], folder: Folder) -> RunFacts:
    seconds, rate = _timing(folder)
    return RunFacts(
        place=f"runs/{path.name}" if path.parent.name == "runs" else path.name,
        name=words(raw.get("name")) or path.name,
        status=words(raw.get("status")) or "unknown",
        task=words(raw.get("task")),
        step=whole(raw.get("step")),
        smoke=raw.get("smoke") is True,
        seconds=real(raw.get("seconds")) or seconds,
        images_per_second=real(raw.get("images_per_second")) or rate,
        reason=words(raw.get("stopped")),
    )


def _timing(folder: Folder) -> tuple[float | None, float | None]:
    """Seconds of training and images per second over all segments that timing.jsonl holds."""
    try:
        seconds, rate = Run(folder.path).timing()
    except (OSError, ValueError):
        return None, None
    return seconds or None, rate


def _metrics(raw: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """Splits with at least one figure, in the order of use."""
    values = {split: {k: real(v) for k, v in mapping(raw.get(split)).items()} for split in SPLITS}
    return {split: v for split, v in values.items() if any(x is not None for x in v.values())}


def _data(raw: Mapping[str, Any]) -> DataFacts | None:
    if not raw:
        return None
    counts = {name: {k: whole(v) for k, v in mapping(c).items()} for name, c in mapping(raw.get("counts")).items()}
    problems = tuple(_problem(mapping(p)) for p in sequence(raw.get("problems")))
    conflicts = sum(problem.reason.startswith(CONFLICT) for problem in problems)
    return DataFacts(
        name=words(raw.get("name")),
        kind=words(raw.get("kind")),
        n=whole(raw.get("n")),
        used=whole(raw.get("used")),
        quarantined=whole(raw.get("quarantined")),
        classes=tuple(words(c) for c in sequence(raw.get("classes"))),
        splits={k: n for k, v in mapping(raw.get("splits")).items() if (n := whole(v))},
        counts=counts,
        duplicates=_amount(raw.get("duplicates")),
        conflicts=_amount(raw.get("conflicts")) or conflicts,
        problems=problems,
        notes=tuple(words(n) for n in sequence(raw.get("notes"))),
        hash=words(raw.get("hash")),
    )


def _amount(value: object) -> int:
    """A count, also where the file lists the things themselves."""
    return len(value) if isinstance(value, list) else whole(value)


def _problem(raw: Mapping[str, Any]) -> Problem:
    return Problem(*(words(raw.get(key)) for key in ("file", "line", "reason", "fix", "action")))


def _model(raw: Mapping[str, Any]) -> ModelFacts | None:
    if not raw:
        return None
    return ModelFacts(
        name=words(raw.get("name")),
        options=mapping(raw.get("options")),
        parameters=real(raw.get("parameters")),
        multiply_adds=real(raw.get("multiply_adds")),
        layers=tuple(_layer(mapping(layer)) for layer in sequence(raw.get("layers"))),
    )


def _layer(raw: Mapping[str, Any]) -> Layer:
    return Layer(
        name=words(raw.get("name")),
        kind=words(raw.get("kind")),
        output=_shape(raw.get("output")),
        parameters=real(raw.get("parameters")),
        multiply_adds=real(raw.get("multiply_adds")),
        receptive_field=_shape(raw.get("receptive_field")),
    )


def _shape(value: object) -> str:
    """[16, 5, 5] → "16 × 5 × 5"."""
    return " × ".join(words(v) for v in value) if isinstance(value, list) else words(value)


def _judged(folder: Folder) -> Judged | None:
    """The test predictions where there are any, else those of validation."""
    for split in ("test", "val"):
        path = folder.path / "predictions" / f"{split}.parquet"
        if not path.is_file():
            continue
        try:
            rows, names, classes = read_rows(path)
            return Judged(split, rows, tuple(names), tuple(classes), judge(rows, classes))
        except (SightlineError, ValueError, OSError):
            folder.problems.append(f"predictions/{split}.parquet could not be used.")
    return None


def _batch(folder: Folder) -> BatchSheet | None:
    png = folder.data("samples/batch.png")
    if png is None:
        return None
    rows = [mapping(row) for row in sequence(folder.json("samples/batch.json"))]
    try:
        clean = reencoded(png)
    except ValueError as error:
        folder.problems.append(f"samples/batch.png was left out: {error}.")
        return None
    names, labels = (tuple(words(row.get(key)) for row in rows) for key in ("name", "label"))
    return BatchSheet(clean, names, labels)
