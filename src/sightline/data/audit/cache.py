"""The results of an audit, cached between runs: a file whose size, times and inode have not changed is not decoded again.

One JSON file per data folder, written atomically, with the SHA-256 of its own body: a cache that is damaged or was made
with other decoding rules is ignored, with a note. It holds results only, never pixels.
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
from sightline.storage.reading import MAX_JSON, read_regular
from sightline.version import __version__

FORMAT = 3
DAY = 86_400.0


class ImageCheck(NamedTuple):
    """The result of decoding one image: `digest` of its pixels ("" if it was rejected), its size, mode and notes; or the
    `reason` of the rejection and the `fix`. `exact` is the digest of all bits of an image that has more than 8 (else ""),
    `peak` its largest value (else -1)."""

    digest: str
    height: int = 0
    width: int = 0
    mode: str = ""
    notes: tuple[str, ...] = ()
    reason: str = ""
    fix: str = ""
    exact: str = ""
    peak: int = -1


@dataclass(frozen=True)
class AuditCache:
    """The file and its content when opened; `damaged` says why none of it can be used."""

    path: Path | None
    checks: dict[tuple[str, int, int, int, int], ImageCheck]
    damaged: str = ""

    def get(self, record: Record, stamp: Stamp) -> ImageCheck | None:
        """The check of the image if its file has not changed."""
        return None if stamp is None else self.checks.get((record.name, *stamp))


def open_cache(folder: Path | None, source: Source) -> AuditCache:
    """The cache of `source` in `folder`; empty if there is none yet, or no folder."""
    if folder is None:
        return AuditCache(None, {})
    place = hashlib.sha256(os.fsencode(os.path.realpath(source.root))).hexdigest()[:16]
    path = folder / f"audit-{place}.json"
    try:
        head, _, body = read_regular(path, MAX_JSON).partition(b"\n")
    except OSError:
        return AuditCache(path, {})
    try:
        header = json.loads(head)
        if header["rules"] != _rules():
            return AuditCache(path, {}, "was made with other decoding rules")
        if header["sha256"] != hashlib.sha256(body).hexdigest():
            return AuditCache(path, {}, "is damaged")
        return AuditCache(path, dict(_rows(json.loads(body))))
    except (ValueError, KeyError, TypeError, RecursionError):
        return AuditCache(path, {}, "is damaged")


def save_cache(
    cache: AuditCache, records: Sequence[Record], stamps: Sequence[Stamp], checks: Sequence[ImageCheck | None]
) -> str:
    """Save the checks of images with a stamp. Stamps were taken before decoding, so a file that changed meanwhile is
    decoded again next time. Returns a note if the disk refuses, which is not fatal."""
    if cache.path is None:
        return ""
    rows = [
        (record.name, *stamp, *check)
        for record, stamp, check in zip(records, stamps, checks, strict=True)
        if check is not None and stamp is not None
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
        return f"the audit could not be cached: {error}"
    return ""


def _rules() -> list[Any]:
    """What the decoded pixels depend on apart from the file."""
    return [FORMAT, __version__, PIL.__version__]


def _rows(rows: list[list[Any]]) -> Iterable[tuple[tuple[str, int, int, int, int], ImageCheck]]:
    for name, size, mtime, ctime, inode, digest, height, width, mode, notes, *rest in rows:
        yield (name, size, mtime, ctime, inode), ImageCheck(digest, height, width, mode, tuple(notes), *rest)
