"""The runs in a folder, as their files describe them. Nothing is decided from a path that a request names: names are looked
up among the runs that were found."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.errors import DamagedError, SightlineError, UsageError
from sightline.runtime.folder import FACTS, is_exported
from sightline.storage.reading import inside, read_json, read_regular, reason_of
from sightline.storage.schema import Fields

DEPTH = 3  # folders below the one that was named
MOST_RUNS = 1_000
MOST_REPORT = 64 << 20  # bytes
MOST_PICTURE = 16 << 20
PICTURES = ("samples", "explanation", "attacks")  # folders of a run whose pictures are shown
_MOST_PICTURES = 60
_SPLITS = ("test", "val", "train")
_MOST_ITEMS = 200  # problems of the data that one answer lists


@dataclass(frozen=True)
class Entry:
    """One run, or one exported folder. `name` is its path below the folder that is shown."""

    name: str
    folder: Path
    exported: bool


class Library:
    """The runs below `root`, or the one run or export that `root` is. UsageError if there is no such folder."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise UsageError(f"{root} is not a folder", "name a folder of runs, a run, or an export")

    def entries(self) -> list[Entry]:
        """The newest first; links are not followed, so everything lies below the root."""
        if (one := _entry(self.root, self.root.resolve().name)) is not None:
            return [one]
        every = sorted(_walk(self.root, "", DEPTH), key=lambda entry: entry.name)
        return sorted(every, key=lambda entry: _written(entry.folder), reverse=True)[:MOST_RUNS]

    def find(self, name: str) -> Entry | None:
        return next((entry for entry in self.entries() if entry.name == name), None)


def _entry(folder: Path, name: str) -> Entry | None:
    if (folder / "run.json").is_file():
        return Entry(name, folder, exported=False)
    return Entry(name, folder, exported=True) if is_exported(folder) else None


def _walk(folder: Path, above: str, depth: int) -> Iterator[Entry]:
    try:
        inner = [entry for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False) and entry.name[0] != "."]
    except OSError:
        return
    for entry in inner:
        name = f"{above}{entry.name}"
        found = _entry(Path(entry.path), name)
        if found is not None:
            yield found
        elif depth > 1:
            yield from _walk(Path(entry.path), f"{name}/", depth - 1)


def _written(folder: Path) -> float:
    """When the run last changed."""
    try:
        return max((folder / name).stat().st_mtime for name in ("run.json", FACTS) if (folder / name).is_file())
    except (OSError, ValueError):
        return 0.0


def summary(entry: Entry) -> dict[str, Any]:
    """A line of the list. A folder that cannot be read says so in `error`."""
    try:
        return {"name": entry.name, **(_of_export(entry) if entry.exported else _of_run(entry))}
    except SightlineError as error:
        return {"name": entry.name, "state": "damaged", "error": error.message}


def _of_export(entry: Entry) -> dict[str, Any]:
    facts = _fields(entry, FACTS)
    return {"state": "export", "task": facts.text("task"), "model": facts.text("model")}


def _of_run(entry: Entry) -> dict[str, Any]:
    status = _fields(entry, "run.json")
    values: dict[str, Any] = {
        "state": status.text("status"),
        "smoke": status.flag("smoke"),
        "task": status.text("task"),
        "step": status.whole("step"),
    }
    if _has(entry, "model/config.json"):
        network = _fields(entry, "model/config.json")
        values |= {"model": network.text("name"), "parameters": network.whole("parameters")}
    if _has(entry, "metrics.json"):
        split, figures, images = _measured(_fields(entry, "metrics.json"))
        values |= {"split": split, "metrics": figures, "images": images}
    return values


def _measured(metrics: Fields) -> tuple[str | None, dict[str, float], int | None]:
    """The split that counts most, its figures, and the number of its images where the run stored it."""
    for split in _SPLITS:
        if metrics.values.get(split) is not None:
            fields = metrics.fields(split)
            figures = {name: fields.real(name) for name, value in fields.values.items() if value is not None}
            images = metrics.values.get("images")
            return split, figures, images.get(split) if isinstance(images, Mapping) else None
    return None, {}, None


def details(entry: Entry) -> dict[str, Any]:
    """Everything that the page shows of one run."""
    values = summary(entry)
    if entry.exported:
        return values | {"report": False, "pictures": [], "data": None}
    data = None
    if _has(entry, "data.json"):
        try:
            data = _shortened(_fields(entry, "data.json").values)
        except DamagedError as error:
            values["error"] = error.message
    return values | {"report": _has(entry, "report.html"), "pictures": pictures(entry), "data": data}


def _shortened(data: Mapping[str, Any]) -> dict[str, Any]:
    """Lists cut to what a page can show, with their lengths beside."""
    lists = {key: value for key, value in data.items() if isinstance(value, list)}
    lengths = {f"{key}_total": len(value) for key, value in lists.items()}
    return {**data, **{key: value[:_MOST_ITEMS] for key, value in lists.items()}, **lengths}


def pictures(entry: Entry) -> list[str]:
    """Paths of the run's pictures, relative to it."""
    every: list[str] = []
    for folder in PICTURES:
        place = entry.folder / folder
        if place.is_dir() and not place.is_symlink():
            every += sorted(str(path.relative_to(entry.folder)) for path in place.rglob("*.png") if path.is_file())
    return every[:_MOST_PICTURES]


def read_report(entry: Entry) -> bytes | None:
    """The run's page; None if there is none."""
    return _read(entry, "report.html", MOST_REPORT)


def read_picture(entry: Entry, name: str) -> bytes | None:
    """One of `pictures`; None for any other name."""
    return _read(entry, name, MOST_PICTURE) if name in pictures(entry) else None


def _has(entry: Entry, name: str) -> bool:
    return inside(entry.folder, name) and (entry.folder / name).is_file()


def _fields(entry: Entry, name: str) -> Fields:
    if not inside(entry.folder, name):
        raise DamagedError(f"{name} is a link that leaves the run", "replace it by the file")
    return Fields(read_json(entry.folder / name), name)


def _read(entry: Entry, name: str, most: int) -> bytes | None:
    if not _has(entry, name):
        return None
    try:
        return read_regular(entry.folder / name, most)
    except (OSError, ValueError) as error:
        raise DamagedError(f"{name} cannot be read: {reason_of(error)}") from error
