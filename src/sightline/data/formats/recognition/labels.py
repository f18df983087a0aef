"""Labels that are no classes: several labels in a cell, measurements, dates, sentences. Refused by what they are.

Whether a space or a comma separates labels is read from all of them: labels recombine (`haze primary`, `clear primary`,
`clear`), the words of a name do not (`golden retriever`). Whole numbers are classes where there are few of them, or where
they count through (0 to 99) with images for each; numbers with gaps and few images each are measurements.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

from sightline.errors import DataError
from sightline.storage.text import printable

FEW = 20  # numbers that may well be class numbers, whatever they are
ENOUGH = 3  # images of each number where numbers that count through are classes
THIN = 10  # images of the middle one, below which numbers with gaps are measurements
STEPS = 5  # distinct fractions that are still classes (half stars are more)
RECOMBINED = 0.6  # of the values of several labels, those all of whose labels occur in another value as well
WORDY = 4  # words of a middle label from which labels are sentences
_DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?:[T ]\d{1,2}:\d{2}.*)?"
    r"|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}(?: \d{1,2}:\d{2}.*)?|\d{1,2}[/.]\d{1,2}[/.]\d{2}"
)
_MEASURES = frozenset((
    "age", "ages", "score", "scores", "weight", "height", "price", "count", "counts", "temperature", "angle", "rating",
    "distance", "depth", "length", "width", "area", "volume", "speed", "year", "bmi", "dose", "percent", "percentage",
    "value", "steering", "duration", "size", "income", "boneage", "bone_age", "yield", "mass", "pawpularity",
))  # fmt: skip
_SEPARATORS: tuple[tuple[str, Callable[[str], list[str]]], ...] = (
    ("a vertical bar", lambda text: text.split("|")),
    ("a semicolon", lambda text: text.split(";")),
    ("a comma", lambda text: text.split(",")),
    ("a space", str.split),
)


class _Finding(NamedTuple):
    """What the labels look like, the evidence, and the fix."""

    what: str
    evidence: str
    fix: str


def refuse_other_questions(labels: Sequence[str], source: str, column: str = "") -> None:
    """Raise DataError if the labels of all rows look like anything but one class an image."""
    counts = Counter(label.strip() for label in labels)
    where = f"{source}, column '{printable(column)}'" if column else source
    for look in (_lists, _dates, _numbers, _combinations, _sentences):
        if found := look(counts, column):
            raise DataError(f"{where}: {found.what}: {found.evidence}", found.fix)


def refuse_several_rows(rows: Sequence[tuple[str, str | None]], source: str) -> None:
    """Raise DataError if most images have rows of their own for several labels."""
    labels: dict[str, set[str | None]] = {}
    for name, label in rows:
        labels.setdefault(name, set()).add(label)
    several = [name for name, of in labels.items() if len(of) > 1]
    if len(several) >= ENOUGH and len(several) > len(labels) / 2:
        name = several[0]
        found = _several(
            f"{len(several):,} of {len(labels):,} images are in several rows, such as {printable(name)} with",
            sorted(str(label) for label in labels[name]),
        )
        raise DataError(f"{source}: {found.what}: {found.evidence}", found.fix)


def _lists(counts: Counter[str], column: str) -> _Finding | None:
    listed = [label for label in counts if _is_list(label)]
    if not listed or sum(counts[label] for label in listed) < counts.total() / 2:
        return None
    return _several(f"lists in {sum(counts[label] for label in listed):,} of {counts.total():,} rows, such as", listed)


def _is_list(label: str) -> bool:
    """['a', 'b'], [0, 1], {"a": 1} or (1, 2) as text."""
    if label[:1] + label[-1:] not in ("[]", "{}", "()") or len(label) < 2:
        return False
    if label[0] == "[":
        try:
            return isinstance(json.loads(label.replace("'", '"')), list)
        except (ValueError, RecursionError):
            return "," in label
    return label[0] in "{(" and "," in label and any(mark in label for mark in "'\":")


def _dates(counts: Counter[str], column: str) -> _Finding | None:
    if len(counts) < 3 or not all(_DATE.fullmatch(label) for label in counts):
        return None
    return _Finding(
        "dates instead of classes",
        f"{len(counts):,} different ones, such as {_some(counts)}",
        "write a class for each image into the column, such as the season",
    )


def _numbers(counts: Counter[str], column: str) -> _Finding | None:
    try:
        values = {label: float(label.replace(",", ".") if label.count(",") == 1 else label) for label in counts}
    except ValueError:
        return None
    finite = sorted(value for value in values.values() if value == value and abs(value) < 1e300)
    if len(finite) < 2:
        return None
    rows, distinct = counts.total(), len(set(finite))
    named = bool({column.casefold(), *re.split(r"[^a-z]+", column.casefold())} & _MEASURES)
    if any(value != int(value) for value in finite):
        measured = distinct > STEPS or named
    else:
        least, middle = min(counts.values()), median(counts.values())
        through = finite[0] in (0, 1) and finite[-1] - finite[0] + 1 == distinct
        classes = (
            distinct < FEW or (through and least >= ENOUGH) or (not through and middle >= THIN and least >= ENOUGH)
        )
        measured = distinct > STEPS if named else not classes
    if not measured:
        return None
    evidence = f"{distinct:,} different numbers from {finite[0]:g} to {finite[-1]:g}, {rows / distinct:.1f} images each"
    return _Finding(
        "labels that look like a measurement (regression), which cannot be trained on yet",
        evidence,
        "write classes such as ranges into the column; numbers that name classes count as such when written as text: 'no. 7'",
    )


def _combinations(counts: Counter[str], column: str) -> _Finding | None:
    for name, cut in _SEPARATORS:
        parts = {label: tuple(part.strip() for part in cut(label) if part.strip()) for label in counts}
        several = {label: of for label, of in parts.items() if len(of) > 1}
        if several and _recombine(parts, several, strict=name == "a space"):
            labels = {part for of in parts.values() for part in of}
            seen = f"{len(labels):,} labels in {len(counts):,} combinations, separated by {name}, such as"
            return _several(seen, sorted(several, key=lambda label: (-len(several[label]), label)))
    return None


def _recombine(parts: dict[str, tuple[str, ...]], several: dict[str, tuple[str, ...]], *, strict: bool) -> bool:
    """Whether the parts occur in ever other company, as labels do and words of names do not."""
    sets = Counter(frozenset(of) for of in parts.values())
    if any(sets[frozenset(of)] > 1 for of in several.values()):
        return True  # `road clear` beside `clear road`
    within = Counter(part for of in sets for part in of)
    whole = {label: of for label, of in several.items() if all(within[part] > 1 for part in of)}
    if len(whole) < RECOMBINED * len(several):
        return False
    alone = {of[0] for of in parts.values() if len(of) == 1} & {part for of in whole.values() for part in of}
    lengths = {len(of) for of in whole.values()}
    if not strict:
        return bool(alone) or len(lengths) > 1
    return (
        len(whole) >= 3
        and len(lengths) > 1
        and ((bool(alone) and len(parts) > len(within)) or len(parts) >= 2 * len(within))
    )


def _sentences(counts: Counter[str], column: str) -> _Finding | None:
    if len(counts) < FEW or counts.total() > 3 * len(counts):
        return None
    if median(len(label.split()) for label in counts) < WORDY:
        return None
    return _Finding(
        "sentences instead of classes",
        f"{len(counts):,} different ones in {counts.total():,} rows, such as {_some(counts)}",
        "write one of a few classes for each image into the column",
    )


def _several(seen: str, labels: Sequence[str]) -> _Finding:
    return _Finding(
        "several labels per image (multi-label), which cannot be trained on yet",
        f"{seen} {_some(labels)}",
        "write the one class of each image into the column `label`",
    )


def _some(labels: Sequence[str] | Counter[str]) -> str:
    return ", ".join(f"'{printable(label[:60])}'" for label in list(labels)[:3])
