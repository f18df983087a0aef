"""A run folder as one frozen structure: all that the report and the model card may say, and nothing computed twice.

Every part may be missing (an unfinished run, a rehearsal, a run without a test split, a damaged file); what is missing
is None or empty, and `problems` holds a sentence for what was there and could not be used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from sightline.runs.run import Run

from .judged import JudgedSplit, RowsFormat, read_judged_split
from .reading import RunFiles, mapping, real, sequence, whole, words
from .samples import BatchSheet, Examples, read_batch, read_examples

SPLITS = ("train", "val", "test")
LEAK, KEPT = "leak", "kept"  # the same where equal pictures are in two splits, and the action if they stay there
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
class DataProblem:
    """A file or line of the data that could not be used as it was."""

    file: str
    line: str
    reason: str
    fix: str
    action: str


@dataclass(frozen=True)
class DataFacts:
    """data.json. `counts` is class → split → images; `duplicates` counts groups of equal pictures; `amounts` is class →
    split → pixels or objects, whichever `unit` says ("" where there are only labels)."""

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
    leaks: int
    problems: tuple[DataProblem, ...]
    notes: tuple[str, ...]
    hash: str
    unit: str = ""
    amounts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


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
class RunContent:
    """Everything that a report may show. `sizes` counts the images that each split's metrics were computed on."""

    run: RunFacts
    recipe: Mapping[str, Any]
    recipe_text: str
    environment: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, float | None]]
    history: tuple[Mapping[str, float | None], ...]
    data: DataFacts | None
    model: ModelFacts | None
    sizes: Mapping[str, int]
    judged: JudgedSplit | None
    batch: BatchSheet | None
    examples: Examples | None
    problems: tuple[str, ...]


def read_content(path: Path, rows_format: RowsFormat | None, *, judged: JudgedSplit | None = None) -> RunContent:
    """Read a run folder; `judged` spares reading and judging the rows again. Raises DamagedError where it is none;
    anything else that is wrong is named in `problems`."""
    folder = RunFiles(path)
    folder.require()
    metrics = mapping(folder.json("metrics.json"))
    return RunContent(
        run=_run(path, mapping(folder.json("run.json")), folder),
        recipe=mapping(folder.yaml("recipe.yaml")),
        recipe_text=folder.text("recipe.yaml"),
        environment=mapping(folder.json("environment.json")),
        metrics=_metrics(metrics),
        history=tuple(folder.table("history.csv")),
        data=_data(mapping(folder.json("data.json"))),
        model=_model(mapping(folder.json("model/config.json"))),
        sizes=_sizes(folder, metrics),
        judged=judged or read_judged_split(folder, rows_format),
        batch=read_batch(folder),
        examples=read_examples(folder),
        problems=tuple(folder.problems),
    )


def _sizes(folder: RunFiles, metrics: Mapping[str, Any]) -> dict[str, int]:
    """How many images each split's figures were measured on: as metrics.json has it; in runs of before, whose
    metrics.json does not, as many as there are rows."""
    counted = {split: whole(n) for split, n in mapping(metrics.get("images")).items()}
    for split in SPLITS if not counted else ():
        with contextlib.suppress(OSError, pyarrow.ArrowException):
            counted[split] = pyarrow.parquet.read_metadata(folder.path / "predictions" / f"{split}.parquet").num_rows
    return counted


def _run(path: Path, raw: Mapping[str, Any], folder: RunFiles) -> RunFacts:
    seconds, rate = _timing(folder)
    return RunFacts(
        place=_place(path),
        name=words(raw.get("name")) or path.resolve().name,
        status=words(raw.get("status")) or "unknown",
        task=words(raw.get("task")),
        step=whole(raw.get("step")),
        smoke=raw.get("smoke") is True,
        seconds=real(raw.get("seconds")) or seconds,
        images_per_second=real(raw.get("images_per_second")) or rate,
        reason=words(raw.get("stopped")),
    )


def _place(path: Path) -> str:
    """The folder as it was named; one with a whole path, which says nothing elsewhere, by its own name."""
    if not path.is_absolute() and path.parts and ".." not in path.parts:
        return path.as_posix()
    path = path.resolve()
    return f"runs/{path.name}" if path.parent.name == "runs" else path.name


def _timing(folder: RunFiles) -> tuple[float | None, float | None]:
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
    counts, amounts = _by_class(raw.get("counts")), mapping(raw.get("amounts"))
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
        leaks=sum(problem.reason.startswith(LEAK) and problem.action == KEPT for problem in problems),
        problems=problems,
        notes=tuple(words(n) for n in sequence(raw.get("notes"))),
        hash=words(raw.get("hash")),
        unit=words(amounts.get("unit")),
        amounts=_by_class(amounts.get("of")),
    )


def _by_class(value: object) -> dict[str, dict[str, int]]:
    """Class → split → count."""
    return {name: {k: whole(v) for k, v in mapping(c).items()} for name, c in mapping(value).items()}


def _amount(value: object) -> int:
    """A count, also where the file lists the things themselves."""
    return len(value) if isinstance(value, list) else whole(value)


def _problem(raw: Mapping[str, Any]) -> DataProblem:
    return DataProblem(*(words(raw.get(key)) for key in ("file", "line", "reason", "fix", "action")))


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
