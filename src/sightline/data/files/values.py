"""Numbers, flags and ids in other people's files, which may be text, whole or floating-point numbers.

`1`, `1.0` and `"1"` are one id; `"0"`, `"false"` and `"no"` are not set. What cannot be read is never taken at Python's
word (every text but "" is true to Python): it is an error with the value in it.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from sightline.storage.text import printable

MOST = 1 << 62  # larger whole numbers are damage
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_WHOLE = re.compile(r"([+-]?\d+)(?:\.0*)?", re.ASCII)
_SET = {"1", "true", "yes", "y", "t", "on"}
# VOC's first files say Unspecified
_CLEAR = {"", "0", "false", "no", "n", "f", "off", "none", "null", "nan", "unspecified", "unknown"}
_Value = TypeVar("_Value")


def number(value: object) -> float:
    """The number; NaN for anything else."""
    if type(value) is float:
        return value
    if type(value) is int:
        return float(value) if abs(value) < MOST else math.nan
    if isinstance(value, str) and len(value) < 40 and _NUMBER.fullmatch(text := value.strip()):
        return float(text)  # float() does not know all blanks that strip() removes
    return math.nan


def whole(value: object) -> int | None:
    """The whole number, also where it is written as 3.0 or "3"; None for anything else."""
    if type(value) is int:
        return value if abs(value) < MOST else None
    found = number(value)
    return int(found) if math.isfinite(found) and found.is_integer() and abs(found) < MOST else None


def flag(value: object) -> bool:
    """Whether it is set. Raises ValueError for what is neither yes nor no."""
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, str):
        word = value.strip().casefold()
        if word in _SET or word in _CLEAR:
            return word in _SET
    found = number(value)
    if found in (0, 1):
        return bool(found)
    if type(value) is float and math.isnan(found):  # an empty cell of a table that was written as JSON
        return False
    raise ValueError(f"{describe(value)} is neither yes nor no")


def identity(value: object) -> str | None:
    """The form in which two ids are compared; None if it is no id. 1, 1.0, "1" and "1.0" are the same."""
    if type(value) is int or type(value) is float:
        found = whole(value)
        return None if found is None else str(found)
    if not isinstance(value, str) or not (text := value.strip()):
        return None
    digits = _WHOLE.fullmatch(text)
    if digits and len(text) < 20 and (digits[1] == "0" or digits[1].lstrip("+-")[0] != "0"):
        return str(int(digits[1]))
    return unicodedata.normalize("NFC", text)


def lookup(known: Mapping[str, _Value], value: object) -> _Value | None:
    """What has this id; leading zeros ("000139") count only where two ids differ in nothing else."""
    key = identity(value)
    if key is None:
        return None
    if key in known:
        return known[key]
    short = _without_zeros(key)
    same = [id for id in _candidates(short, known)] if short else []
    return known[same[0]] if len(same) == 1 else None


def _candidates(short: str, known: Mapping[str, Any]) -> Iterable[str]:
    """Ids that equal `short` but for leading zeros, of usual lengths."""
    return (id for width in range(len(short), 21) if (id := short.zfill(width)) in known)


def _without_zeros(key: str) -> str:
    return (key.lstrip("0") or "0") if key.isascii() and key.isdigit() else ""


def kinds(values: Iterable[object]) -> set[str]:
    """Which of "text" and "numbers" the ids among the values are."""
    return {"text" if isinstance(value, str) else "numbers" for value in values if identity(value) is not None}


def describe(value: object) -> str:
    """A value from a file in few characters."""
    return f"a {type(value).__name__}" if isinstance(value, dict | list) else printable(repr(value)[:80])
