"""What the labels of a table are: one class an image, several labels, or measurements; dates and sentences are refused.

Whether a space or a comma separates labels is read from all of them: labels recombine (`haze primary`, `clear primary`,
`clear`), the words of a name do not (`golden retriever`). Whole numbers are classes where there are few of them, or where
they count through (0 to 99) with images for each; numbers with gaps and few images each are measurements.
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, Literal, NamedTuple

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
Cut = Callable[[str], list[str]]
SEPARATORS: tuple[tuple[str, Cut], ...] = (
    ("a vertical bar", lambda text: text.split("|")),
    ("a semicolon", lambda text: text.split(";")),
    ("a comma", lambda text: text.split(",")),
    ("a space", str.split),
)
LONGEST_LIST = 100_000  # characters of a cell that is read as a list


class Reading(NamedTuple):
    """What labels are: one class, several `tags` or `numbers` for each image; the evidence for it; for tags how to cut a cell
    into them, for lists None."""

    knows: Literal["class", "tags", "numbers"]
    evidence: str = ""
    cut: Cut | None = None


ONE_CLASS = Reading("class")


def reading_of(labels: Sequence[str], source: str, column: str = "") -> Reading:
    """What the labels of all rows are. Raises DataError where they are dates or sentences, which answer nothing."""
    counts = Counter(label.strip() for label in labels)
    where = f"{source}, column '{printable(column)}'" if column else source
    if lists := _lists(counts):
        return lists
    _refuse_dates(counts, where)
    if found := _numbers(counts, column) or _combinations(counts):
        return found
    _refuse_sentences(counts, where)
    return ONE_CLASS


def in_several_rows(rows: Sequence[tuple[str, str | None]]) -> Reading | None:
    """Several labels, if most images have a row of their own for each."""
    labels: dict[str, set[str | None]] = {}
    for name, label in rows:
        labels.setdefault(name, set()).add(label)
    several = [name for name, of in labels.items() if len(of) > 1]
    if len(several) < ENOUGH or len(several) <= len(labels) / 2:
        return None
    some = _some(sorted(str(label) for label in labels[several[0]]))
    seen = (
        f"{len(several):,} of {len(labels):,} images are in several rows, such as {printable(several[0])} with {some}"
    )
    return Reading("tags", seen, cut=lambda text: [text])


def _lists(counts: Counter[str]) -> Reading | None:
    listed = [label for label in counts if _is_list(label)]
    rows = sum(counts[label] for label in listed)
    if not listed or rows < counts.total() / 2:
        return None
    return Reading("tags", f"lists in {rows:,} of {counts.total():,} rows, such as {_some(listed)}")


def _is_list(label: str) -> bool:
    """['a', 'b'], [0, 1], {"a"} or (1, 2) as text."""
    if label[:1] + label[-1:] not in ("[]", "{}", "()") or len(label) < 2:
        return False
    if label[0] == "[":
        return members_of(label) is not None or "," in label
    return label[0] in "{(" and "," in label and any(mark in label for mark in "'\":")


def members_of(text: str) -> list[Any] | None:
    """The members of a list, tuple or set as text, in JSON or in Python's spelling; None where it is none."""
    if len(text) > LONGEST_LIST:
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(value, list | tuple):
            return list(value)
        if isinstance(value, set | frozenset):
            return sorted(value, key=str)
    return None


def number_of(text: str) -> float:
    """A number as tables write it, with a decimal comma as well. ValueError where it is none."""
    value = float(text.replace(",", ".") if text.count(",") == 1 else text)
    if value != value or abs(value) >= 1e300:
        raise ValueError(text)
    return value


def _refuse_dates(counts: Counter[str], where: str) -> None:
    if len(counts) < 3 or not all(_DATE.fullmatch(label) for label in counts):
        return
    raise DataError(
        f"{where}: dates instead of classes: {len(counts):,} different ones, such as {_some(counts)}",
        "write a class for each image into the column, such as the season",
    )


def _numbers(counts: Counter[str], column: str) -> Reading | None:
    """Numbers as classes or as measurements; None where any label is no number."""
    values: dict[str, float] = {}
    for label in counts:
        try:
            values[label] = number_of(label)
        except ValueError:
            if label.casefold() not in ("nan", "inf", "-inf"):
                return None
    finite = sorted(values.values())
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
    seen = f"{distinct:,} different numbers from {finite[0]:g} to {finite[-1]:g}, {rows / distinct:.1f} images each"
    return Reading("numbers" if measured else "class", seen)


def _combinations(counts: Counter[str]) -> Reading | None:
    for name, cut in SEPARATORS:
        parts = {label: tuple(part.strip() for part in cut(label) if part.strip()) for label in counts}
        several = {label: of for label, of in parts.items() if len(of) > 1}
        if several and _recombine(parts, several, strict=name == "a space"):
            labels = {part for of in parts.values() for part in of}
            some = _some(sorted(several, key=lambda label: (-len(several[label]), label)))
            seen = f"{len(labels):,} labels in {len(counts):,} combinations, separated by {name}, such as {some}"
            return Reading("tags", seen, cut)
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


def _refuse_sentences(counts: Counter[str], where: str) -> None:
    if len(counts) < FEW or counts.total() > 3 * len(counts):
        return
    if median(len(label.split()) for label in counts) < WORDY:
        return
    raise DataError(
        f"{where}: sentences instead of classes: {len(counts):,} different ones in {counts.total():,} rows, such as "
        f"{_some(counts)}",
        "write one of a few classes for each image into the column",
    )


def _some(labels: Sequence[str] | Counter[str]) -> str:
    return ", ".join(f"'{printable(label[:60])}'" for label in list(labels)[:3])
