"""`diagnosis/` of a run as plain values. The folder is one that anybody may edit: what has another form is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sightline.reports.reading import RunFiles, as_integer, as_mapping, as_number, as_sequence, as_text

FOLDER = "diagnosis"
MOST = 12  # slices


@dataclass(frozen=True)
class SliceFact:
    """A slice in words, its `n` images, and its mean score with interval against the rest on `confirmed` of them; `columns` are
    those of its conditions."""

    words: str
    n: int
    confirmed: int
    value: float
    low: float
    high: float
    rest: float
    p: float
    ids: tuple[int, ...] = ()
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class TemperatureFact:
    """Before and after, and the interval of the difference, for log loss and ECE."""

    temperature: float
    chosen_on: int
    n: int
    nll: tuple[float, float]
    nll_change: tuple[float, float]
    ece: tuple[float, float]
    ece_change: tuple[float, float]


@dataclass(frozen=True)
class ShiftFact:
    """A measured column whose medians differ between the split and the training images."""

    column: str
    value: float
    train: float
    distance: float


@dataclass(frozen=True)
class CurveFact:
    """`points`: training images and the headline that they gave; `n` images would give `value`, between `low` and `high`."""

    points: tuple[tuple[int, float], ...]
    n: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Diagnosis:
    """`score` is what slices compare, a share of images if `share`; `tried` conditions on `n` images; `reason` why none was
    searched."""

    split: str = ""
    score: str = ""
    share: bool = True
    n: int = 0
    tried: int = 0
    reason: str = ""
    slices: tuple[SliceFact, ...] = ()
    temperature: TemperatureFact | None = None
    shifts: tuple[ShiftFact, ...] = field(default_factory=tuple)
    curve: CurveFact | None = None


def read_diagnosis(folder: RunFiles) -> Diagnosis | None:
    """Of the test split if there is one, else of val; None where the run has none."""
    for split in ("test", "val"):
        raw = as_mapping(folder.json(f"{FOLDER}/{split}.json"))
        if raw:
            curve = _curve(as_mapping(folder.json(f"{FOLDER}/learning_curve.json")))
            return replace(_diagnosis(split, raw), curve=curve)
    return None


def _diagnosis(split: str, raw: Mapping[str, Any]) -> Diagnosis:
    slices = as_mapping(raw.get("slices"))
    found = [one for item in as_sequence(slices.get("found"))[:MOST] if (one := _slice(as_mapping(item))) is not None]
    shifts = [s for item in as_sequence(raw.get("shifts")) if (s := _shift(as_mapping(item))) is not None]
    return Diagnosis(
        split=split,
        score=as_text(slices.get("score")),
        share=slices.get("share") is True,
        n=as_integer(slices.get("n")),
        tried=as_integer(slices.get("tried")),
        reason=as_text(slices.get("reason")),
        slices=tuple(found),
        temperature=_temperature(as_mapping(raw.get("temperature"))),
        shifts=tuple(shifts),
    )


def _slice(raw: Mapping[str, Any]) -> SliceFact | None:
    ends = _numbers(raw.get("interval"), 2)
    value, rest, p = (as_number(raw.get(key)) for key in ("value", "rest", "p"))
    if ends is None or value is None or rest is None or p is None:
        return None
    ids = tuple(as_integer(i) for i in as_sequence(raw.get("ids")))
    words, n, confirmed = as_text(raw.get("words")), as_integer(raw.get("n")), as_integer(raw.get("confirmed"))
    columns = tuple(as_text(as_mapping(c).get("column")) for c in as_sequence(raw.get("conditions")))
    return SliceFact(words, n, confirmed, value, ends[0], ends[1], rest, p, ids, columns)


def _shift(raw: Mapping[str, Any]) -> ShiftFact | None:
    numbers = [as_number(raw.get(key)) for key in ("value", "train", "distance")]
    known = [x for x in numbers if x is not None]
    return ShiftFact(as_text(raw.get("column")), *known) if len(known) == len(numbers) else None


def _curve(raw: Mapping[str, Any]) -> CurveFact | None:
    ahead = as_mapping(raw.get("twice"))
    value, ends = as_number(ahead.get("value")), _numbers(ahead.get("interval"), 2)
    points = [
        (as_integer(p.get("n")), as_number(p.get("value"))) for p in map(as_mapping, as_sequence(raw.get("points")))
    ]
    known = tuple((n, v) for n, v in points if v is not None and n > 0)
    if value is None or ends is None or len(known) < 2:
        return None
    return CurveFact(known, as_integer(ahead.get("n")), value, ends[0], ends[1])


def _temperature(raw: Mapping[str, Any]) -> TemperatureFact | None:
    temperature = as_number(raw.get("temperature"))
    pairs = [_numbers(raw.get(key), 2) for key in ("nll", "nll_change", "ece", "ece_change")]
    known = [(p[0], p[1]) for p in pairs if p is not None]
    if temperature is None or len(known) < len(pairs):
        return None
    return TemperatureFact(temperature, as_integer(raw.get("chosen_on")), as_integer(raw.get("n")), *known)


def _numbers(value: object, count: int) -> Sequence[float] | None:
    """So many finite numbers, None for anything else."""
    known = [x for x in map(as_number, as_sequence(value)) if x is not None]
    return known if len(known) == count else None
