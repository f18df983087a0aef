"""A run folder as one frozen structure: everything that the report and the model card may show.

Every part may be missing (an unfinished run, a rehearsal, a run without a test split, a damaged file); what is missing
is None or empty, and `problems` holds a sentence for every file that exists but could not be used.
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

from .attacks.stored import read_attacks
from .diagnosis.health import Health, read_health
from .diagnosis.stored import Diagnosis, read_diagnosis
from .generation.stored import Making, read_making
from .reading import RunFiles, as_integer, as_mapping, as_number, as_sequence, as_text
from .samples import (
    Assignment,
    BatchSheet,
    Examples,
    HeatMap,
    read_assignment,
    read_batch,
    read_examples,
    read_heat_maps,
    read_strip,
)
from .split_evaluation import RowsFormat, SplitEvaluation, read_evaluation

SPLITS = ("train", "val", "test")
RENAMED = {"top5": "top5_accuracy"}  # metrics as runs of earlier versions call them
LEAK, KEPT = "leak", "kept"  # how the reason begins if identical images are in two splits; the action if both stay
CONFLICT = "label-conflict"  # how the reason begins if identical images have different labels


@dataclass(frozen=True)
class RunFacts:
    """run.json. `place` is how commands name the folder: `runs/<name>`, or its own name if it lies elsewhere."""

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
    """A file or line of the data that could not be used as it is."""

    file: str
    line: str
    reason: str
    fix: str
    action: str


@dataclass(frozen=True)
class DataFacts:
    """data.json. `counts` is class → split → images; `duplicates` counts groups of identical images; `amounts` is class →
    split → pixels or objects, whichever `unit` says ("" if there are only labels)."""

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
    """model/config.json. `start` is the record of the weights that training began with, `tuning` of what it did with them;
    both are empty for random weights, and `tuning` for runs of earlier versions. `zeros`: the share of weights that are zero,
    where a penalty made them so."""

    name: str
    options: Mapping[str, Any]
    parameters: float | None
    multiply_adds: float | None
    layers: tuple[Layer, ...]
    start: Mapping[str, Any] = field(default_factory=dict)
    tuning: Mapping[str, Any] = field(default_factory=dict)
    zeros: float | None = None


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
    evaluation: SplitEvaluation | None
    batch: BatchSheet | None
    examples: Examples | None
    problems: tuple[str, ...]
    attacks: tuple[Mapping[str, Any], ...] = ()
    diagnosis: Diagnosis | None = None
    health: Health | None = None
    maps: Mapping[int, HeatMap] = field(default_factory=dict)
    making: Making | None = None
    strip: bytes | None = None  # samples/denoising.png, encoded again
    assignment: Assignment | None = None
    speed: Mapping[str, Any] = field(default_factory=dict)


def read_content(
    path: Path, rows_format: RowsFormat | None, *, evaluation: SplitEvaluation | None = None
) -> RunContent:
    """Read a run folder; `evaluation` saves reading and evaluating the rows again. Raises DamagedError if it is no run
    folder; every other defect is named in `problems`."""
    folder = RunFiles(path)
    folder.require()
    metrics = as_mapping(folder.json("metrics.json"))
    evaluation = evaluation or read_evaluation(folder, rows_format)
    return RunContent(
        run=_run(path, as_mapping(folder.json("run.json")), folder),
        recipe=as_mapping(folder.yaml("recipe.yaml")),
        recipe_text=folder.text("recipe.yaml"),
        environment=as_mapping(folder.json("environment.json")),
        metrics=_metrics(metrics),
        history=tuple(folder.table("history.csv")),
        data=_data(as_mapping(folder.json("data.json"))),
        model=_model(as_mapping(folder.json("model/config.json") or folder.json("model/generator.json"))),
        sizes=_sizes(folder, metrics),
        evaluation=evaluation,
        batch=read_batch(folder),
        examples=read_examples(folder),
        attacks=read_attacks(folder),
        diagnosis=read_diagnosis(folder),
        health=read_health(folder),
        strip=read_strip(folder),
        maps=read_heat_maps(folder, evaluation.split) if evaluation is not None else {},
        making=read_making(folder),
        assignment=read_assignment(folder),
        speed=as_mapping(folder.json("speed.json")) if (path / "speed.json").exists() else {},
        problems=tuple(folder.problems),
    )


def _sizes(folder: RunFiles, metrics: Mapping[str, Any]) -> dict[str, int]:
    """How many images each split's metrics were computed on: from metrics.json; in runs of earlier versions, whose
    metrics.json does not say it, the number of rows."""
    sizes = {split: as_integer(n) for split, n in as_mapping(metrics.get("images")).items()}
    for split in SPLITS if not sizes else ():
        with contextlib.suppress(OSError, pyarrow.ArrowException):
            sizes[split] = pyarrow.parquet.read_metadata(folder.path / "predictions" / f"{split}.parquet").num_rows
    return sizes


def _run(path: Path, raw: Mapping[str, Any], folder: RunFiles) -> RunFacts:
    seconds, rate = _timing(folder)
    return RunFacts(
        place=_place(path),
        name=as_text(raw.get("name")) or path.resolve().name,
        status=as_text(raw.get("status")) or "unknown",
        task=as_text(raw.get("task")),
        step=as_integer(raw.get("step")),
        smoke=raw.get("smoke") is True,
        seconds=as_number(raw.get("seconds")) or seconds,
        images_per_second=as_number(raw.get("images_per_second")) or rate,
        reason=as_text(raw.get("stopped")),
    )


def _place(path: Path) -> str:
    """A relative path as it is; an absolute path, which means nothing on other machines, is cut to the folder's name."""
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
    """Splits with at least one metric, in the order of SPLITS."""
    values = {
        split: {RENAMED.get(k, k): as_number(v) for k, v in as_mapping(raw.get(split)).items()} for split in SPLITS
    }
    return {split: v for split, v in values.items() if any(x is not None for x in v.values())}


def _data(raw: Mapping[str, Any]) -> DataFacts | None:
    if not raw:
        return None
    counts, amounts = _by_class(raw.get("counts")), as_mapping(raw.get("amounts"))
    problems = tuple(_problem(as_mapping(p)) for p in as_sequence(raw.get("problems")))
    conflicts = sum(problem.reason.startswith(CONFLICT) for problem in problems)
    return DataFacts(
        name=as_text(raw.get("name")),
        kind=as_text(raw.get("kind")),
        n=as_integer(raw.get("n")),
        used=as_integer(raw.get("used")),
        quarantined=as_integer(raw.get("quarantined")),
        classes=tuple(as_text(c) for c in as_sequence(raw.get("classes"))),
        splits={k: n for k, v in as_mapping(raw.get("splits")).items() if (n := as_integer(v))},
        counts=counts,
        duplicates=_amount(raw.get("duplicates")),
        conflicts=_amount(raw.get("conflicts")) or conflicts,
        leaks=sum(problem.reason.startswith(LEAK) and problem.action == KEPT for problem in problems),
        problems=problems,
        notes=tuple(as_text(n) for n in as_sequence(raw.get("notes"))),
        hash=as_text(raw.get("hash")),
        unit=as_text(amounts.get("unit")),
        amounts=_by_class(amounts.get("of")),
    )


def _by_class(value: object) -> dict[str, dict[str, int]]:
    """Class → split → count."""
    return {name: {k: as_integer(v) for k, v in as_mapping(c).items()} for name, c in as_mapping(value).items()}


def _amount(value: object) -> int:
    """A count; of a list, its length."""
    return len(value) if isinstance(value, list) else as_integer(value)


def _problem(raw: Mapping[str, Any]) -> DataProblem:
    return DataProblem(*(as_text(raw.get(key)) for key in ("file", "line", "reason", "fix", "action")))


def _model(raw: Mapping[str, Any]) -> ModelFacts | None:
    if not raw:
        return None
    return ModelFacts(
        name=as_text(raw.get("name")),
        options=as_mapping(raw.get("options")),
        parameters=as_number(raw.get("parameters")),
        multiply_adds=as_number(raw.get("multiply_adds")),
        layers=tuple(_layer(as_mapping(layer)) for layer in as_sequence(raw.get("layers"))),
        start=as_mapping(raw.get("weights")),
        tuning=as_mapping(raw.get("fine_tuning")),
        zeros=as_number(raw.get("zero_weights")),
    )


def _layer(raw: Mapping[str, Any]) -> Layer:
    return Layer(
        name=as_text(raw.get("name")),
        kind=as_text(raw.get("kind")),
        output=_shape(raw.get("output")),
        parameters=as_number(raw.get("parameters")),
        multiply_adds=as_number(raw.get("multiply_adds")),
        receptive_field=_shape(raw.get("receptive_field")),
    )


def _shape(value: object) -> str:
    """[16, 5, 5] → "16 × 5 × 5"."""
    return " × ".join(as_text(v) for v in value) if isinstance(value, list) else as_text(value)
