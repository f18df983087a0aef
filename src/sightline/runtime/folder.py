"""An exported folder on disk: verified against its manifest, its facts, its graphs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.errors import DamagedError, UsageError
from sightline.preprocessing.saved import Preprocessing
from sightline.storage.folders import digest, verify_folder

FORMAT, VERSION = "sightline-export", 1
FACTS = "export.json"
PREPROCESSING = "preprocessing.json"
_AGAIN = "export the run again"


@dataclass(frozen=True)
class Exported:
    """`facts` are those of export.json; `files` the bytes of every file, equal to their hashes in the manifest."""

    folder: Path
    facts: Mapping[str, Any]
    preprocessing: Preprocessing
    files: Mapping[str, bytes]


def is_exported(path: str | Path) -> bool:
    """Whether the folder is an exported one."""
    return (Path(path) / FACTS).is_file()


def read_exported(path: str | Path) -> Exported:
    """The folder, every file checked against its hash. UsageError where there is none, DamagedError where a file differs."""
    folder = Path(path)
    if not is_exported(folder):
        raise UsageError(f"{folder} is not an exported folder", f"name one that `sightline export` wrote, with {FACTS}")
    entries = verify_folder(folder)["files"]
    files = {name: (folder / name).read_bytes() for name in entries}
    for name, data in files.items():  # what is used is what was verified, although the file may change in between
        if digest(data) != entries[name]["sha256"]:
            raise DamagedError(f"{folder.name}/{name} changed while it was read", "open it again")
    for name in (FACTS, PREPROCESSING):
        if name not in files:
            raise DamagedError(f"{folder.name} has no {name} in its manifest", _AGAIN)
    facts = _object(files[FACTS], FACTS)
    if facts.get("format") != FORMAT or facts.get("version") != VERSION:
        found = f"{facts.get('format')!r} version {facts.get('version')!r}"
        raise DamagedError(f"{folder}/{FACTS} is {found}; this version reads {FORMAT} {VERSION}", _AGAIN)
    return Exported(folder, facts, Preprocessing.from_json(_object(files[PREPROCESSING], PREPROCESSING)), files)


def _object(data: bytes, name: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{name} cannot be read: {error}", _AGAIN) from error
    if not isinstance(value, dict):
        raise DamagedError(f"{name} holds no object", _AGAIN)
    return value
