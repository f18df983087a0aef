"""A study: runs that answer one question together. Its folder holds them, and study.json lists them.

    study.json    {format, kind, state, settings, …, runs: [{run, role, …}]}

A run is named by its path within the folder, so that a study can be moved.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.errors import DamagedError, UsageError
from sightline.storage.files import make_folder, replace_file
from sightline.storage.reading import MAX_JSON, parse_json, read_file
from sightline.storage.text import json_text
from sightline.version import __version__

from .run import Run, open_run

FORMAT = "sightline-study-1"
FILE = "study.json"


@dataclass(frozen=True)
class Study:
    """A study, open for reading: what study.json holds."""

    folder: Path
    facts: dict[str, Any]

    @property
    def kind(self) -> str:
        """ "tune", "folds" or "seeds"."""
        return str(self.facts.get("kind"))

    @property
    def finished(self) -> bool:
        return self.facts.get("state") == "finished"

    def runs(self, *roles: str) -> list[Run]:
        """The finished member runs, of these roles or of all."""
        members = [one for one in self.facts["runs"] if not roles or one.get("role") in roles]
        return [open_run(self.folder / one["run"]) for one in members]

    def to_json(self) -> dict[str, Any]:
        """The JSON of the verbs: what study.json holds, with the folder before it."""
        return {"study": str(self.folder), **self.facts}


def is_study(path: Any) -> bool:
    return isinstance(path, str | os.PathLike) and os.path.isfile(Path(path) / FILE)


def open_study(path: str | Path) -> Study:
    """UsageError if there is none, DamagedError for a file that is none of this version."""
    folder = Path(path)
    if not is_study(folder):
        raise UsageError(f"{folder} is not a study", f"name a folder with a {FILE}, such as `sightline tune` writes")
    facts = parse_json(read_file(folder / FILE, MAX_JSON), str(folder / FILE))
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise DamagedError(f"{folder / FILE} is no study of this version", "install a newer sightline")
    members = facts.get("runs")
    if not isinstance(members, list) or not all(isinstance(one, dict) and _inner(one.get("run")) for one in members):
        raise DamagedError(f"{folder / FILE} lists no runs within its folder", "restore it, or run its command again")
    return Study(folder, facts)


def _inner(path: Any) -> bool:
    return isinstance(path, str) and not os.path.isabs(path) and ".." not in Path(path).parts


def begin_study(folder: Path, kind: str, settings: Mapping[str, Any]) -> Study:
    """The study in `folder`, new or with the same settings. UsageError if it holds another, or something else."""
    wanted = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    if is_study(folder):
        study = open_study(folder)
        if study.facts.get("settings") != wanted:
            what = "study" if study.kind == kind else f"study of another kind ({study.kind})"
            changed = [key for key, value in settings.items() if study.facts.get("given", {}).get(key) != value]
            about = f": other {', '.join(changed)}" if changed and study.kind == kind else ""
            raise UsageError(f"{folder} holds another {what}{about}", "choose another --out")
        return study
    require_place_of_study(folder)
    make_folder(folder)
    facts = {
        "format": FORMAT, "version": __version__, "kind": kind, "state": "running", "settings": wanted,
        "given": json.loads(json.dumps(settings)), "runs": [],
    }  # fmt: skip
    return write_study(folder, facts)


def require_place_of_study(folder: Path) -> None:
    """UsageError for a folder that holds something else than a study."""
    if is_study(folder) or not os.path.lexists(folder):
        return
    if not folder.is_dir() or any(inner.name[0] != "." for inner in folder.iterdir()):
        raise UsageError(f"{folder} is occupied by something else", "choose another --out")


def write_study(folder: Path, facts: Mapping[str, Any]) -> Study:
    replace_file(folder / FILE, (json_text(dict(facts)) + "\n").encode())
    return Study(folder, dict(facts))
