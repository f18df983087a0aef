"""What an audit found, kept between starts: a file that has not changed since (size, mtime) is not decoded again.

One JSON file a data folder, written atomically, with the SHA-256 of its own body: a cache that is damaged, foreign or
of other decoding rules is ignored, and that is said. It holds results only, never pixels.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import PIL

from sightline.data.records.records import Record, Stamp
from sightline.data.records.source import Source
from sightline.errors import ResourceError
from sightline.storage.files import replace_file
from sightline.storage.folders import sweep
from sightline.version import __version__

FORMAT = 2
DAY = 86_400.0


class Finding(NamedTuple):
    """What decoding one image gave: `digest` of its pixels ("" where it was rejected), its size, mode and notes; or why
    it was rejected and the `fix`."""

    digest: str
    height: int = 0
    width: int = 0
    mode: str = ""
    notes: tuple[str, ...] = ()
    reason: str = ""
    fix: str = ""


@dataclass(frozen=True)
class AuditCache:
    """The file and what it held when opened; `damaged` says why nothing could be used."""

    path: Path | None
    findings: dict[tuple[str, int, int], Finding]
    damaged: str = ""

    def get(self, record: Record, stamp: Stamp) -> Finding | None:
        """The finding of an unchanged image."""
        return None if stamp is None else self.findings.get((record.name, *stamp))


def open_cache(folder: Path | None, source: Source) -> AuditCache:
    """The cache of `source` in `folder`; empty where there is none yet, or no folder."""
    if folder is None:
        return AuditCache(None, {})
    place = hashlib.sha256(os.fsencode(os.path.realpath(source.root))).hexdigest()[:16]
    path = folder / f"audit-{place}.json"
    try:
        head, _, body = path.read_bytes().partition(b"\n")
    except OSError:
        return AuditCache(path, {})
    try:
        told = json.loads(head)
        if told["rules"] != _rules():
            return AuditCache(path, {}, "was made by other decoding rules")
        if told["sha256"] != hashlib.sha256(body).hexdigest():
            return AuditCache(path, {}, "is damaged")
        return AuditCache(path, dict(_rows(json.loads(body))))
    except (ValueError, KeyError, TypeError, RecursionError):
        return AuditCache(path, {}, "is damaged")


def save_cache(
    cache: AuditCache, records: Sequence[Record], stamps: Sequence[Stamp], findings: Sequence[Finding | None]
) -> str:
    """Keep the findings that a stamp vouches for; stamps were taken before decoding, so a file that changed meanwhile
    is looked at again. Returns a note where the disk does not take them: no reason to stop."""
    if cache.path is None:
        return ""
    rows = [
        (record.name, *stamp, *finding)
        for record, stamp, finding in zip(records, stamps, findings, strict=True)
        if finding is not None and stamp is not None
    ]
    if not rows:
        return ""
    body = json.dumps(rows, separators=(",", ":")).encode()
    head = json.dumps({"rules": _rules(), "sha256": hashlib.sha256(body).hexdigest()}).encode()
    try:
        cache.path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(cache.path, head + b"\n" + body)
        sweep(cache.path.parent, older=DAY)
    except (OSError, ResourceError) as error:
        return f"the audit could not be kept for the next start: {error}"
    return ""


def _rules() -> list[Any]:
    """What decoded pixels depend on besides the file."""
    return [FORMAT, __version__, PIL.__version__]


def _rows(rows: list[list[Any]]) -> Iterable[tuple[tuple[str, int, int], Finding]]:
    for name, size, mtime, digest, height, width, mode, notes, reason, fix in rows:
        yield (name, size, mtime), Finding(digest, height, width, mode, tuple(notes), reason, fix)
