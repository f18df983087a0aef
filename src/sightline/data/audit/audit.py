"""Every image decoded once before training, by the decoder that training uses: what is good, what is not, and why.

Files → SHA-256 of the decoded pixels, size, mode; whatever cannot be decoded is quarantined with a reason. Images equal
in every pixel have one hash, whatever their files: that is how exact duplicates, contradicting labels and leaks are
found, and by what an image's split is chosen. Grey stored as three equal channels counts as grey.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int, UInt8

from sightline.data.records.records import Arrays, Problem, Record
from sightline.data.records.source import Source
from sightline.preprocessing.decoder import decode
from sightline.preprocessing.pixels import with_channels
from sightline.preprocessing.rejection import Rejected
from sightline.storage.text import shown

from .cache import AuditCache, Finding, open_cache, save_cache

Pixels = UInt8[np.ndarray, "h w c"]
Keep = Callable[[Record, Pixels], None]
Progress = Callable[[int, int], None]
_CHUNK = 16  # images a thread takes at a time
_SAVE_SECONDS = 30.0  # an interrupted audit loses at most this much


@dataclass(frozen=True)
class Audit:
    """What was found, a row a record: `digest` ("" where quarantined), `size` (h, w), `mode`, `used`; and `problems`,
    those of reading included. `turned` are the ids of images that EXIF turned. `cached` images were not decoded again. Of an
    annotated set also `truths`, a hash of each image's annotation, and `amount` (n, k) of pixels or objects a class."""

    source: Source
    digest: tuple[str, ...]
    size: Int[np.ndarray, "n 2"]
    mode: tuple[str, ...]
    used: Bool[np.ndarray, "n"]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    turned: frozenset[int] = frozenset()
    cached: int = 0
    truths: tuple[str, ...] = ()
    amount: Int[np.ndarray, "n k"] | None = None

    def records(self) -> list[Record]:
        """The records in use, in id order."""
        return [record for record, used in zip(self.source.records, self.used.tolist(), strict=True) if used]


def audit(
    source: Source,
    *,
    channels: int = 3,
    workers: int = 2,
    cache_dir: Path | None = None,
    keep: Keep | None = None,
    progress: Progress | None = None,
) -> Audit:
    """Decode every image of `source` fully; nothing that is in a file stops it.

    `keep(record, pixels (h, w, channels))` is handed every good image exactly once, from any of the threads and in any
    order; the cache then saves no decoding. `progress(done, total)` is called now and then. What the audit finds does
    not depend on `channels`, `workers` or the cache.
    """
    cache = open_cache(cache_dir, source)
    records = source.records
    stamps = [source.contents.stamp(record) for record in records] if cache.path else [None] * len(records)
    findings: list[Finding | None] = [None] * len(records)
    if keep is None:
        findings = [cache.get(record, stamp) for record, stamp in zip(records, stamps, strict=True)]
    todo = [record for record in records if findings[record.id] is None]
    saved = time.monotonic()
    try:
        for record, finding in _examined(source, todo, channels, workers, keep):
            findings[record.id] = finding
            if progress and record.id % 256 == 255:
                progress(record.id + 1, len(records))
            if time.monotonic() - saved > _SAVE_SECONDS:
                save_cache(cache, records, stamps, findings)
                saved = time.monotonic()
    finally:
        note = save_cache(cache, records, stamps, findings) if todo else ""
    return _summed_up(source, [f for f in findings if f is not None], len(records) - len(todo), cache, note)


def examine(source: Source, record: Record, *, channels: int = 3, keep: Keep | None = None) -> Finding:
    """Decode one image and say what it is; a rejected one is a finding, not an error."""
    try:
        content = source.load(record)
        if isinstance(content, np.ndarray) and content.ndim == 2 and keep is None:
            return Finding(
                pixel_hash(content), content.shape[0], content.shape[1], "L"
            )  # grey in memory: nothing to decode
        decoded = decode(content, channels=3)
    except Rejected as rejected:
        return Finding("", reason=f"{rejected.reason}: {rejected.detail}", fix=rejected.hint)
    if keep is not None:
        keep(record, with_channels(decoded.pixels, channels))
    height, width = decoded.pixels.shape[:2]
    return Finding(pixel_hash(decoded.pixels), height, width, decoded.mode, decoded.notes)


def pixel_hash(pixels: UInt8[np.ndarray, "h w ..."]) -> str:
    """SHA-256 (hex) of the shape and the pixels, (h, w) or (h, w, c); three equal channels count as one."""
    if pixels.ndim == 3 and (pixels.shape[2] == 1 or _is_grey(pixels)):
        pixels = pixels[..., 0]
    height, width, channels = (*pixels.shape, 1)[:3]
    state = hashlib.sha256(b"%dx%dx%d:" % (height, width, channels))
    state.update(np.ascontiguousarray(pixels).data)
    return state.hexdigest()


def _is_grey(pixels: UInt8[np.ndarray, "h w c"]) -> bool:
    """Whether all channels agree everywhere; most colour images show it in their first row."""
    first = pixels[..., :1]
    return bool((pixels[0] == first[0]).all()) and bool((pixels == first).all())


def _examined(
    source: Source, todo: Sequence[Record], channels: int, workers: int, keep: Keep | None
) -> Iterator[tuple[Record, Finding]]:
    """Findings in the order of `todo`, made by `workers` threads, a bounded number of chunks ahead."""

    def chunk(records: list[Record]) -> list[tuple[Record, Finding]]:
        return [(record, examine(source, record, channels=channels, keep=keep)) for record in records]

    waiting = iter(todo)
    if isinstance(source.contents, Arrays) or workers <= 1:  # pixels in memory: threads would only queue for the lock
        yield from ((record, examine(source, record, channels=channels, keep=keep)) for record in waiting)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="audit")
    try:
        running = [pool.submit(chunk, part) for part in _chunks(waiting, 2 * workers)]
        while running:
            done = running.pop(0).result()
            running += [pool.submit(chunk, part) for part in _chunks(waiting, 1)]
            yield from done
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _chunks(waiting: Iterator[Record], count: int) -> Iterator[list[Record]]:
    for _ in range(count):
        if part := list(islice(waiting, _CHUNK)):
            yield part


def _summed_up(source: Source, findings: list[Finding], cached: int, cache: AuditCache, note: str) -> Audit:
    problems = list(source.problems)
    for record, finding in zip(source.records, findings, strict=True):
        if not finding.digest:
            problems.append(Problem(shown(record.name), None, finding.reason, finding.fix, id=record.id))
    notes = [f"the audit's cache {cache.damaged}; every image was looked at again"] if cache.damaged else []
    notes += _said(findings) + ([note] if note else [])
    return Audit(
        source=source,
        digest=tuple(finding.digest for finding in findings),
        size=np.array([(f.height, f.width) for f in findings], dtype=np.int64).reshape(-1, 2),  # (n, 2), also for none
        mode=tuple(finding.mode for finding in findings),
        used=np.array([bool(finding.digest) for finding in findings], dtype=bool),
        problems=tuple(problems),
        notes=tuple(notes),
        turned=frozenset(row for row, f in enumerate(findings) if "exif-rotated" in f.notes),
        cached=cached,
    )


_WORDS = {
    "exif-rotated": "turned upright as their EXIF data say",
    "exif-unreadable": "taken as stored: their EXIF data are damaged",
    "alpha-composited": "transparent: shown on white",
    "first-frame-of-N": "of several frames: the first one is used",
    "16-bit-scaled": "of 16 bits: scaled to 8",
    "12-bit-scaled": "of 12 bits: scaled to 8",
    "16-bit-high-byte": "of 16 bits a channel: the high byte is used",
    "cmyk-converted": "in CMYK: converted",
    "junk-after-end": "followed by foreign bytes, which are ignored",
    "wrong-extension": "of another format than their suffix says",
}


def _said(findings: list[Finding]) -> list[str]:
    """A sentence for each thing that the decoder had to do, with the number of images."""
    codes = Counter("first-frame-of-N" if c.startswith("first-frame") else c for f in findings for c in f.notes)
    return [
        f"{_WORDS[code]}: {count:,} of {len(findings):,} images"
        for code, count in sorted(codes.items())
        if code in _WORDS
    ]
