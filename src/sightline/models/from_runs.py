"""Weights of a run: of its folder, or of its repository on a hub (hf:owner/name). Hashes are those of the run's manifest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from sightline.errors import DamagedError
from sightline.storage.folders import digest
from sightline.storage.hub import Repository
from sightline.storage.reading import MAX_TEXT, parse_json, read_regular, reason_of
from sightline.storage.tensors import unpack

PREFIX = "hf:"
_SEAL, _PREPROCESSING, _WEIGHTS = "manifest.json", "preprocessing.json", "model/model.safetensors"
_DATA = "data.json"
_MOST = 1 << 34  # bytes of weights


class RunWeights(NamedTuple):
    """`preprocessing` has mean and deviation for pixels from 0 to 1, as published weights state them; `classes` in the order
    of the run's scores, empty where it does not say."""

    name: str
    tensors: dict[str, Tensor]
    sha256: str
    preprocessing: dict[str, Any]
    address: str | None = None
    classes: tuple[str, ...] = ()


def is_run(weights: str | Path) -> bool:
    """Whether this names a run, in a folder or on a hub."""
    return str(weights).startswith(PREFIX) or (Path(weights) / "run.json").is_file()


def read_run(weights: str | Path, *, allow_network: bool) -> RunWeights:
    """Raises DamagedError for what is not as the manifest says, and what `Repository` raises."""
    if not str(weights).startswith(PREFIX):
        folder = Path(weights)

        def local(name: str, most: int) -> bytes:
            try:
                return read_regular(folder / name, most)
            except OSError as error:
                raise DamagedError(f"{folder / name} cannot be read: {reason_of(error)}") from error

        return _read(folder.name, local)
    there = Repository(str(weights).removeprefix(PREFIX), endpoint=None, allow_network=allow_network)
    commit, sizes = there.listing()

    def remote(name: str, most: int) -> bytes:
        if sizes.get(name, most + 1) > most:
            raise DamagedError(f"{there.name} has no {name} of at most {most:,} bytes", "check that it is a run")
        return there.fetch(name, commit, most)

    return _read(f"{PREFIX}{there.name}@{commit[:12]}", remote)._replace(address=f"{there.endpoint}/{there.name}")


def _read(name: str, content: Callable[[str, int], bytes]) -> RunWeights:
    manifest = parse_json(content(_SEAL, MAX_TEXT), f"{name}/{_SEAL}")
    entries = manifest.get("files") if isinstance(manifest, dict) else None
    files = {_PREPROCESSING: content(_PREPROCESSING, MAX_TEXT), _WEIGHTS: content(_WEIGHTS, _MOST)}
    if isinstance(entries, dict) and _DATA in entries:
        files[_DATA] = content(_DATA, MAX_TEXT)
    for file, data in files.items():
        expected = entries.get(file) if isinstance(entries, dict) else None
        if expected != {"bytes": len(data), "sha256": digest(data)}:
            raise DamagedError(
                f"{file} of {name} does not match its SHA-256 in {_SEAL}", "restore it, or pull it again"
            )
    stored = parse_json(files[_PREPROCESSING], f"{name}/{_PREPROCESSING}")
    try:
        known = {key: [value / 255 for value in stored[key]] for key in ("mean", "std")}
    except (KeyError, TypeError) as error:
        raise DamagedError(f"{name}/{_PREPROCESSING} has no mean and deviation") from error
    about = parse_json(files[_DATA], f"{name}/{_DATA}") if _DATA in files else None
    classes = about.get("classes") if isinstance(about, dict) else None
    names = tuple(map(str, classes)) if isinstance(classes, list) else ()
    return RunWeights(name, unpack(files[_WEIGHTS], {}, name), digest(files[_WEIGHTS]), known, classes=names)
