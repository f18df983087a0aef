"""Values from a file that may have been changed: each has the type, the range and the shape that its reader needs, or
the error names the file and the key.

A hash says that a file is what somebody wrote; it does not say that sightline wrote it. So nothing from a run folder is
used before it went through here.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sightline.errors import DamagedError

SHOWN = 60  # characters of a wrong value in an error
_RESTORE = "restore the file, or train again"


class Fields:
    """The keys of one JSON object. `file` and `path` name it in errors."""

    def __init__(self, value: Any, file: str, path: str = "", *, hint: str = _RESTORE) -> None:
        self.file, self.path, self.hint = file, path, hint
        if not isinstance(value, Mapping):
            raise self._error("", f"is {brief(value)}, not an object")
        self.values: Mapping[str, Any] = value

    def require(self, keys: Collection[str]) -> None:
        """DamagedError unless the keys are exactly these."""
        if strange := sorted(set(map(str, self.values)) ^ set(keys)):
            raise self._error("", f"has unknown or missing keys: {', '.join(brief(key) for key in strange[:5])}")

    def raw(self, key: str) -> Any:
        if key not in self.values:
            raise self._error(key, "is missing")
        return self.values[key]

    def whole(self, key: str, least: int = 0, most: int = (1 << 53) - 1) -> int:
        value = self.raw(key)
        if type(value) is not int or not least <= value <= most:
            raise self._error(key, f"is {brief(value)}, not a whole number from {least:,} to {most:,}")
        return value

    def real(self, key: str, least: float = -math.inf, most: float = math.inf) -> float:
        """A finite number."""
        number = finite(value := self.raw(key))
        if number is None or not least <= number <= most:
            limits = "" if math.isinf(least) and math.isinf(most) else f" from {least:g} to {most:g}"
            raise self._error(key, f"is {brief(value)}, not a finite number{limits}")
        return number

    def flag(self, key: str) -> bool:
        value = self.raw(key)
        if type(value) is not bool:
            raise self._error(key, f"is {brief(value)}, not true or false")
        return value

    def text(self, key: str, among: Collection[str] | None = None) -> str:
        value = self.raw(key)
        if not isinstance(value, str) or (among is not None and value not in among):
            known = "text" if among is None else f"one of {', '.join(among)}"
            raise self._error(key, f"is {brief(value)}, not {known}")
        return value

    def digest(self, key: str) -> str:
        """A SHA-256 in hexadecimal."""
        value = self.raw(key)
        if not isinstance(value, str) or len(value) != 64 or set(value) - set("0123456789abcdef"):
            raise self._error(key, f"is {brief(value)}, not a SHA-256")
        return value

    def items(self, key: str, *, length: int | None = None) -> list[Any]:
        value = self.raw(key)
        if not isinstance(value, list | tuple) or (length is not None and len(value) != length):
            count = "" if length is None else f" of {length}"
            raise self._error(key, f"is {brief(value)}, not a list{count}")
        return list(value)

    def texts(self, key: str) -> list[str]:
        values = self.items(key)
        for place, value in enumerate(values):
            if not isinstance(value, str):
                raise self._error(f"{key}[{place}]", f"is {brief(value)}, not text")
        return values

    def wholes(self, key: str, *, length: int | None = None, least: int = 0, most: int = (1 << 53) - 1) -> list[int]:
        values = self.items(key, length=length)
        for place, value in enumerate(values):
            if type(value) is not int or not least <= value <= most:
                raise self._error(
                    f"{key}[{place}]", f"is {brief(value)}, not a whole number from {least:,} to {most:,}"
                )
        return values

    def reals(self, key: str, *, length: int | None = None) -> list[float]:
        numbers = []
        for place, value in enumerate(self.items(key, length=length)):
            number = finite(value)
            if number is None:
                raise self._error(f"{key}[{place}]", f"is {brief(value)}, not a finite number")
            numbers.append(number)
        return numbers

    def fields(self, key: str) -> Fields:
        """The object under `key`."""
        return Fields(self.raw(key), self.file, self._name(key), hint=self.hint)

    def rows(self, key: str) -> Iterator[Fields]:
        """The objects of the list under `key`."""
        for place, value in enumerate(self.items(key)):
            yield Fields(value, self.file, f"{self._name(key)}[{place}]", hint=self.hint)

    def named(self, key: str) -> Iterator[tuple[str, Fields]]:
        """The objects of the object under `key`, by name."""
        for name in self.fields(key).values:
            yield str(name), self.fields(key).fields(name)

    def wrong(self, key: str, why: str) -> DamagedError:
        """The error for a value that this class cannot check: "state.json: step is 7, …"."""
        return self._error(key, why)

    def _name(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path and key else self.path or key

    def _error(self, key: str, why: str) -> DamagedError:
        name = self._name(key)
        return DamagedError(f"{self.file}: {brief_text(name)} {why}" if name else f"{self.file} {why}", self.hint)


def finite(value: Any) -> float | None:
    """The number as a float; None if it is no number, or not a finite one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def brief(value: Any) -> str:
    """A value in few characters, whatever it is."""
    if isinstance(value, list | tuple):
        return f"a list of {len(value):,}"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 64:
        return f"a number of {value.bit_length():,} bits"
    return brief_text(repr(value[: 2 * SHOWN]) if isinstance(value, str) else repr(value))


def brief_text(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
