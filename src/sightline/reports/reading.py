"""Files of a run folder as plain values, whatever state they are in.

People want a report when something went wrong as often as when all went well: a missing, truncated or foreign file costs
its own section and a sentence that says so, never the whole report. Values of the wrong kind are treated as absent.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sightline.errors import DamagedError, UsageError
from sightline.recipes.reading import parse_yaml
from sightline.storage.reading import MAX_JSON, read_regular


@dataclass
class RunFiles:
    """A run folder to read from; `problems` gathers a sentence for each file that exists but cannot be used."""

    path: Path
    problems: list[str] = field(default_factory=list)

    def text(self, name: str) -> str:
        """A text file, "" if there is none."""
        try:
            return read_regular(self.path / name, MAX_JSON).decode("utf-8", "replace")
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except OSError as error:
            self.problems.append(f"{name} could not be read: {error.strerror}.")
            return ""

    def data(self, name: str) -> bytes | None:
        """A file's bytes, None if there is none."""
        try:
            return read_regular(self.path / name, MAX_JSON)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self.problems.append(f"{name} could not be read: {error.strerror}.")
            return None

    def json(self, name: str) -> Any:
        """A JSON file's value, None if there is none or it cannot be read."""
        text = self.text(name)
        if not text:
            return None
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            self.problems.append(f"{name} is damaged and was left out.")
            return None

    def yaml(self, name: str) -> Any:
        """A YAML file's value, parsed without constructing objects; None if there is none or it cannot be read."""
        text = self.text(name)
        if not text:
            return None
        try:
            return parse_yaml(text, name)
        except (UsageError, ValueError):
            self.problems.append(f"{name} is damaged and is shown as it is.")
            return None

    def table(self, name: str) -> list[dict[str, float | None]]:
        """A CSV of numbers as one mapping per row; anything but a finite number is None."""
        try:
            rows = list(csv.DictReader(io.StringIO(self.text(name))))
        except csv.Error:
            self.problems.append(f"{name} is damaged and was left out.")
            return []
        return [{str(k): parse_number(v) for k, v in row.items() if k is not None} for row in rows]

    def require(self) -> None:
        """Raises DamagedError if this is no run folder at all."""
        if not (self.path / "run.json").is_file():
            raise DamagedError(f"{self.path.name} is not a run folder: it has no run.json", "name the folder of a run")


def parse_number(text: object) -> float | None:
    """A CSV cell as a finite number, else None."""
    try:
        value = float(str(text))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def as_mapping(value: object) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return {str(k): v for k, v in value.items()} if isinstance(value, Mapping) else {}


def as_sequence(value: object) -> Sequence[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list | tuple) else ()


def as_number(value: object) -> float | None:
    """The value if it is a finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def as_integer(value: object) -> int:
    """The value as an integer, 0 if it is no number."""
    number = as_number(value)
    return int(number) if number is not None else 0


def as_text(value: object) -> str:
    """The value as text; "" for null; numbers and lists as JSON writes them."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
