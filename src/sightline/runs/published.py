"""A finished run as the files of a model repository, and back.

Out go the network, what it takes to use and repeat it, and its figures; no picture of the data unless samples are asked
for, and no predictions. In come only files of those names whose hashes the run's own manifest has: JSON, YAML, CSV, Markdown,
safetensors. No HTML, no pickle, nothing else, whatever a repository offers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from sightline.errors import DamagedError, UsageError
from sightline.recipes.reading import recipe_yaml
from sightline.recipes.recipe import Recipe, TrackSection
from sightline.storage.folders import digest
from sightline.storage.reading import MAX_JSON, MAX_TEXT, parse_json
from sightline.storage.text import json_text

from . import seal
from .run import MAX_WEIGHTS, SEAL, Run

CARD = "README.md"
SEALED = tuple(name for name in seal.SEALED if not name.startswith("predictions/"))  # these name every image
NEEDED = ("run.json", SEAL, "recipe.yaml", "data.json", "preprocessing.json", "model/config.json")
_MODEL = re.compile(r"model/[A-Za-z0-9_-]{1,64}\.(safetensors|json)")
_SAMPLE = re.compile(r"samples/[A-Za-z0-9_./-]{1,128}\.(png|json)")
_FRONT = b"---\nlibrary_name: sightline\n"
MOST = 1 << 34  # bytes of a repository's files that are taken


def files_of(run: Run, *, samples: bool) -> dict[str, bytes]:
    """What is pushed. Absolute paths and the places of tracking leave the recipe, and the manifest is that of these files.
    UsageError for a run that is not finished; DamagedError for one that is not what its seal says."""
    if not run.finished:
        raise UsageError(f"{run.folder} is not finished", f"run: sightline train --resume {run.folder}")
    sealed = run.fields(SEAL).fields("files").values
    names = [name for name in sealed if name in SEALED or _MODEL.fullmatch(name)]
    files = {name: run.sealed_bytes(name) for name in names}
    files["recipe.yaml"] = recipe_yaml(_portable(run.recipe)).encode()
    status = {key: value for key, value in run.status.items() if key != "written"}
    status["written"] = {name: digest(files[name]) for name in ("recipe.yaml", "data.json")}
    entries = {name: {"bytes": len(data), "sha256": digest(data)} for name, data in files.items()}
    files["run.json"] = json_text(status).encode() + b"\n"
    files[SEAL] = json_text({"format": 1, "files": entries}).encode() + b"\n"
    card = (run.folder / CARD).read_bytes() if (run.folder / CARD).is_file() else b""
    files[CARD] = card if card.startswith(_FRONT) else _front(status) + card
    for path in sorted((run.folder / "samples").rglob("*")) if samples else ():
        name = path.relative_to(run.folder).as_posix()
        if _SAMPLE.fullmatch(name) and seal.file_entry(path) is not None:
            files[name] = path.read_bytes()
    if samples and (run.folder / "report.html").is_file():
        files["report.html"] = (run.folder / "report.html").read_bytes()
    return files


def _portable(recipe: Recipe) -> Recipe:
    """The recipe without what only this machine has: the last part of absolute paths, and no tracking."""
    data = recipe.data.model_copy(update={"path": _last(recipe.data.path)})
    model = recipe.model.model_copy(update={"weights": _last(recipe.model.weights)})
    return recipe.model_copy(update={"data": data, "model": model, "track": TrackSection()})


def _last(path: str | None) -> str | None:
    if path is None or not (PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute()):
        return path
    return PureWindowsPath(path).name or path


def _front(status: Mapping[str, Any]) -> bytes:
    """The header by which the hub files a model."""
    tags = ["sightline", str(status.get("task", ""))]
    return _FRONT + f"tags: {json.dumps(tags)}\n---\n\n".encode()


def wanted(sizes: Mapping[str, int], repository: str) -> dict[str, int]:
    """Of a listing, the files that are taken, with the most bytes of each. DamagedError for what is no run, or too large."""
    taken = {n: size for n, size in sizes.items() if n in (*SEALED, *NEEDED, CARD) or _MODEL.fullmatch(n)}
    if lacking := [name for name in NEEDED if name not in taken]:
        raise DamagedError(f"{repository} is not a run of sightline: it has no {lacking[0]}", "check the name")
    most = {name: _most(name) for name in taken}
    for name, size in taken.items():
        if size > most[name]:
            raise DamagedError(f"{name} of {repository} has {size:,} bytes, and at most {most[name]:,} are read")
    if (total := sum(taken.values())) > MOST:
        raise DamagedError(f"{repository} has {total:,} bytes, and at most {MOST:,} are read")
    return {name: min(most[name], size) for name, size in taken.items()}


def _most(name: str) -> int:
    if name.endswith(".safetensors"):
        return min(MAX_WEIGHTS, MOST)
    return MAX_JSON if name.endswith((".json", ".jsonl", ".csv")) else MAX_TEXT


def checked(files: Mapping[str, bytes], repository: str) -> None:
    """DamagedError unless the manifest has exactly these files, apart from those that no seal holds, with these hashes."""
    where = f"{SEAL} of {repository}"
    manifest = parse_json(files[SEAL], where)
    entries = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(entries, dict):
        raise DamagedError(f"{where} is not a manifest")
    free = {SEAL, "run.json", CARD}
    if unsealed := sorted(files.keys() - entries.keys() - free):
        raise DamagedError(f"{unsealed[0]} of {repository} is not in its manifest")
    for name, entry in entries.items():
        if name not in files:
            raise DamagedError(f"{repository} lacks {str(name)[:100]}, which its manifest has")
        if entry != {"bytes": len(files[name]), "sha256": digest(files[name])}:
            raise DamagedError(f"{name} of {repository} does not match its SHA-256", "pull it again")


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """The files below a new folder. Their names have passed `wanted`."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
