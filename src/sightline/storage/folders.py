"""The one commit routine: a folder appears whole, with a manifest of hashes, or not at all.

A committed folder is immutable. It is valid if its manifest verifies: every file has the size and the SHA-256 with
which it was written. No pointer to the latest folder is stored, since a crash could leave it wrong; a reader walks from
newest to oldest and takes the first folder that verifies.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sightline.errors import DamagedError

from .files import TEMPORARY, no_space, sync_folder, write_synced
from .reading import parse_json, read_regular, reason_of
from .schema import Fields, brief
from .text import printable

FORMAT = 1
MANIFEST = "manifest.json"
_OWN = "sha256"  # the manifest's own hash: that of its text without this entry
_LIMIT = 8 << 20  # bytes; a larger manifest is not parsed


def commit_folder(final: Path, files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> Path:
    """Write `files` and a manifest as the folder `final`, atomically; returns it.

    An existing folder of that name is kept if it verifies and replaced if it does not. Raises ResourceError when the
    disk refuses, and then leaves nothing behind.
    """
    entries = {name: {"bytes": len(data), "sha256": digest(data)} for name, data in files.items()}
    body = json.loads(json.dumps({"format": FORMAT, **manifest, "files": entries}, allow_nan=False))
    text = _manifest_text({**body, _OWN: digest(_manifest_text(body).encode())})
    temporary = final.parent / f"{TEMPORARY}{secrets.token_hex(6)}"
    with no_space(final, sum(map(len, files.values())) + len(text)):
        try:
            temporary.mkdir()
            for name, data in files.items():
                write_synced(temporary / name, data)
            write_synced(temporary / MANIFEST, text.encode())
            sync_folder(temporary)
            _make_room(final)
            if not final.exists():
                os.rename(temporary, final)
                sync_folder(final.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return final


def _make_room(final: Path) -> None:
    """Move a damaged folder out of the way of a commit, then remove it; a valid one stays."""
    if final.exists():
        try:
            verify_folder(final)
        except DamagedError:
            aside = final.parent / f"{TEMPORARY}{secrets.token_hex(6)}"
            os.rename(final, aside)
            shutil.rmtree(aside, ignore_errors=True)


def verify_folder(folder: Path) -> dict[str, Any]:
    """The manifest of a committed folder after re-hashing every file. Raises DamagedError naming the first
    file that is missing or differs."""
    manifest = read_manifest(folder)
    for name in manifest["files"]:
        read_entry(folder, manifest, name)
    return manifest


def read_entry(folder: Path, manifest: Mapping[str, Any], name: str) -> bytes:
    """The bytes of one file of a committed folder, if they are those of its manifest. Raises DamagedError. What is used is
    what was hashed: a file that changes between the two cannot slip through."""
    path, where = folder / name, f"{folder.name}/{printable(name)}"
    entry = manifest["files"].get(name)
    if entry is None or Path(name).name != name or not os.path.isfile(path):
        raise DamagedError(f"{where} is missing")
    if (size := os.stat(path).st_size) != entry["bytes"]:
        raise DamagedError(f"{where} has {size:,} bytes instead of {entry['bytes']:,}")
    try:
        data = read_regular(path, size)
    except OSError as error:
        raise DamagedError(f"{where} cannot be read: {reason_of(error)}") from error
    if digest(data) != entry["sha256"]:
        raise DamagedError(f"{where} does not match its SHA-256")
    return data


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest, its format checked but no file hashed."""
    path, where = folder / MANIFEST, f"{folder.name}/{MANIFEST}"
    try:
        manifest = parse_json(read_regular(path, _LIMIT), where)
    except OSError as error:
        raise DamagedError(f"{where} cannot be read: {reason_of(error)}") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise DamagedError(f"{folder.name}/{MANIFEST} is not a manifest")
    if manifest.get("format") != FORMAT:
        raise DamagedError(
            f"{folder.name} has format {brief(manifest.get('format'))}; this version reads {FORMAT}",
            "install a newer sightline",
        )
    body = {key: value for key, value in manifest.items() if key != _OWN}
    if manifest.get(_OWN) != digest(_manifest_text(body).encode()):
        raise DamagedError(f"{folder.name}/{MANIFEST} does not match its own SHA-256")
    for _, entry in Fields(manifest, where).named("files"):
        entry.whole("bytes")
        entry.digest("sha256")
    return manifest


def _manifest_text(manifest: Mapping[str, Any]) -> str:
    return json.dumps(manifest, indent=1, sort_keys=True)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class NewestFolder:
    """The newest folder that verifies (None when none does), its manifest, and why newer ones were skipped."""

    folder: Path | None
    manifest: dict[str, Any] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()


def newest_good(parent: Path, prefix: str = "step-") -> NewestFolder:
    """Walk `parent`'s folders from newest to oldest and stop at the first that verifies."""
    skipped: list[str] = []
    for folder in sorted(parent.glob(f"{prefix}*"), reverse=True):
        try:
            return NewestFolder(folder, verify_folder(folder), tuple(skipped))
        except DamagedError as error:
            skipped.append(str(error))
    return NewestFolder(None, {}, tuple(skipped))


def retain(parent: Path, keep: int = 2, prefix: str = "step-") -> None:
    """Delete older folders once `keep` newer ones have been read again and verify; counting names would keep damaged ones."""
    good = 0
    for folder in sorted(parent.glob(f"{prefix}*"), reverse=True):
        if good >= keep:
            aside = parent / f"{TEMPORARY}{secrets.token_hex(6)}"
            os.rename(folder, aside)  # the name disappears at once, the files one by one
            shutil.rmtree(aside, ignore_errors=True)
            continue
        try:
            verify_folder(folder)
            good += 1
        except DamagedError:
            continue


def sweep(parent: Path, *, older: float = 0.0) -> int:
    """Remove the temporary files and folders that a killed process left behind; returns how many. With `older`, only those
    of at least that many seconds: a live process may still be writing the others."""
    left = [path for path in parent.glob(f"{TEMPORARY}*") if not older or _age(path) > older]
    for path in left:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    return len(left)


def _age(path: Path) -> float:
    """Seconds since the last write; 0 if it has disappeared meanwhile."""
    try:
        return time.time() - path.lstat().st_mtime
    except FileNotFoundError:
        return 0.0
