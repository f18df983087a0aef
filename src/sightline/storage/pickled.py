"""Pickled state dicts (.pt, .pth, .bin), converted once to safetensors by a child process and cached.

A pickle is a program. It is never opened in this process: `unpickling` reads it in another one with torch's restricted
unpickler and answers with safetensors bytes. The cache is keyed by the SHA-256 of the source; each entry is a committed
folder, converted again if it does not verify.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from sightline.errors import DamagedError, DataError, ResourceError

from . import unpickling
from .folders import commit_folder, read_manifest, verify_folder
from .tensors import unpack

_FILE = "weights.safetensors"
_SECONDS = 900  # a child that takes longer is stopped; a gigabyte takes some ten seconds


class StateDict(NamedTuple):
    """The tensors, and notes about how they were read."""

    tensors: dict[str, Tensor]
    notes: tuple[str, ...] = ()


def entry(cache: Path, sha256: str, *, source: str | None = None) -> Path | None:
    """The cache folder of the file with this SHA-256, or None. With a `source`, the first digits of the hash are enough, as
    published file names carry them, and the file must have been read under that name: another file whose hash begins
    alike must not answer for it."""
    if source is None:
        folder = cache / "weights" / sha256
        return folder if folder.is_dir() else None
    return next((f for f in sorted((cache / "weights").glob(f"{sha256}*")) if _source(f) == source), None)


def _source(folder: Path) -> str | None:
    try:
        return str(read_manifest(folder)["source"])
    except (DamagedError, KeyError):
        return None


def read_entry(folder: Path) -> dict[str, Tensor]:
    """The tensors of a cache folder. Raises DamagedError if it does not verify."""
    verify_folder(folder)
    return unpack((folder / _FILE).read_bytes(), {}, f"{folder.name}/{_FILE}")


def read_pickled(path: Path, cache: Path, *, sha256: str, name: str) -> StateDict:
    """The tensors of a pickled state dict whose hash is known. Raises DataError if the file is another pickle,
    which is never run; DamagedError, with its `name`, if it is damaged."""
    folder = entry(cache, sha256)
    if folder is not None:
        try:
            return StateDict(read_entry(folder))
        except DamagedError:
            pass  # convert again
    data = _converted(path, sha256, name)
    tensors = unpack(data, {}, name)
    note = f"{name} is a pickle: converted to safetensors by a separate process"
    try:
        (cache / "weights").mkdir(parents=True, exist_ok=True)
        kept = commit_folder(cache / "weights" / sha256, {_FILE: data}, {"source": name})
    except (OSError, ResourceError) as error:  # not fatal: the next run converts again
        return StateDict(tensors, (f"{note}; not cached: {error}",))
    return StateDict(tensors, (f"{note}, cached in {kept}",))


def _converted(path: Path, sha256: str, name: str) -> bytes:
    """The safetensors bytes that the child process answers with."""
    command = [sys.executable, "-P", unpickling.__file__, str(path), sha256]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise DataError(f"{name} took longer than {_SECONDS} s to read", _PLAIN) from error
    if done.returncode == 0:
        return done.stdout
    try:
        answer = json.loads(done.stderr.decode("utf-8", "replace").strip().splitlines()[-1])
        kind, message = str(answer["kind"]), str(answer["message"])
    except (ValueError, KeyError, TypeError, IndexError):
        kind, message = "damaged", f"the process that read it ended with code {done.returncode}"
    if kind == "refused":
        raise DataError(f"{name} is refused: {message}", _PLAIN)
    raise DamagedError(f"{name} is damaged: {message}", "download it again")


_PLAIN = "save the tensors alone: safetensors.torch.save_file(model.state_dict(), FILE)"


def file_sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
