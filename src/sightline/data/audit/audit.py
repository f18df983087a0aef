"""The audit of images: each is decoded once before training, with the decoder that training uses.

Files → SHA-256 of the decoded pixels, size, mode; an image that cannot be decoded is quarantined with a reason. Images
with the same pixels have the same hash, however they are stored: exact duplicates, contradicting labels and leaks are
detected by it, and it decides the split of an image. Grey stored as three equal channels counts as grey.
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
from jaxtyping import Bool, Int, Shaped, UInt8

from sightline.data.records.records import QUARANTINED, Arrays, Problem, Record
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.preprocessing.decoder import decode
from sightline.preprocessing.depth import adds_to_8_bits, depth_of, peak_of
from sightline.preprocessing.pixels import with_channels
from sightline.preprocessing.rejection import Rejected
from sightline.storage.text import printable

from .cache import AuditCache, ImageCheck, open_cache, save_cache

Pixels = UInt8[np.ndarray, "h w c"]
Keep = Callable[[Record, Pixels], None]
Progress = Callable[[int, int], None]
_CHUNK = 16  # images per task of a thread
_NEARLY_ALL, _FULL = 0.9, 16
_SAVE_SECONDS = 30.0  # an interrupted audit loses at most this much


@dataclass(frozen=True)
class Audit:
    """The result, one row per record: `digest` ("" if quarantined), `size` (h, w), `mode`, `used`; and all `problems`,
    those of reading the data set included. `turned` are the ids of images that EXIF rotates, `cached` counts images that
    were not decoded again. Annotated sets also have `truths`, a hash of each image's annotation, and `amount` (n, k), the
    number of pixels or objects of each class. `digest` is of the pixels in 8 bits, `exact` of all bits, by which copies are
    known; `depth` the number of bits that the images of 16 really have, None if there are none."""

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
    exact: tuple[str, ...] = ()
    depth: int | None = None

    def __post_init__(self) -> None:
        if not self.exact:
            object.__setattr__(self, "exact", self.digest)

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
    """Decode every image of `source` fully; no content of a file stops it.

    `keep(record, pixels (h, w, channels))` is called exactly once for every good image, from any thread and in any order;
    every image is then decoded, cached or not. `progress(done, total)` is called from time to time. The result does not depend
    on `channels`, `workers` or the cache.
    """
    cache = open_cache(cache_dir, source)
    records = source.records
    stamps = [source.contents.stamp(record) for record in records] if cache.path else [None] * len(records)
    checks: list[ImageCheck | None] = [None] * len(records)
    if keep is None:
        checks = [cache.get(record, stamp) for record, stamp in zip(records, stamps, strict=True)]
    todo = [record for record in records if checks[record.id] is None]
    saved = time.monotonic()
    try:
        for record, check in _examine_all(source, todo, channels, workers, keep):
            checks[record.id] = check
            if progress and record.id % 256 == 255:
                progress(record.id + 1, len(records))
            if time.monotonic() - saved > _SAVE_SECONDS:
                save_cache(cache, records, stamps, checks)
                saved = time.monotonic()
    finally:
        note = save_cache(cache, records, stamps, checks) if todo else ""
    return _summary(source, [f for f in checks if f is not None], len(records) - len(todo), cache, note)


def limit_quarantine(audit: Audit, limit: float | None) -> None:
    """DataError if no image is left, or if the quarantined share exceeds the limit."""
    total = len(audit.source)
    bad = [problem for problem in audit.problems if problem.action == QUARANTINED]
    if not audit.used.any():
        first = f": {bad[0].file}: {bad[0].reason}" if bad else ""
        raise DataError(f"none of {total} images can be used{first}", bad[0].fix if bad else "")
    if limit is not None and len(bad) > limit * total:
        raise DataError(
            f"quarantined: {len(bad)} of {total} images, more than {limit:.1%}",
            f"repair the images, or raise data.max_quarantined; the first is {bad[0].file}: {bad[0].reason}",
        )


def examine(source: Source, record: Record, *, channels: int = 3, keep: Keep | None = None) -> ImageCheck:
    """Decode and describe one image; a rejection is returned as a check, not raised."""
    try:
        content = source.load(record)
        if isinstance(content, np.ndarray) and content.ndim == 2 and keep is None:
            # grey in memory: nothing to decode
            return ImageCheck(pixel_hash(content), content.shape[0], content.shape[1], "L")
        decoded = decode(content, channels=3, keep_samples=True)
    except Rejected as rejected:
        return ImageCheck("", reason=f"{rejected.reason}: {rejected.detail}", fix=rejected.hint)
    if keep is not None:
        keep(record, with_channels(decoded.pixels, channels))
    height, width = decoded.pixels.shape[:2]
    digest, samples = pixel_hash(decoded.pixels), decoded.samples
    check = ImageCheck(digest, height, width, decoded.mode, decoded.notes)
    if samples is None:
        return check
    exact = pixel_hash(samples) if adds_to_8_bits(samples) else digest
    return check._replace(exact=exact, peak=peak_of(samples) if "16-bit" in " ".join(decoded.notes) else -1)


def pixel_hash(pixels: Shaped[np.ndarray, "h w ..."]) -> str:
    """SHA-256 (hex) of the shape and the pixels, (h, w) or (h, w, c); three equal channels count as one."""
    if pixels.ndim == 3 and (pixels.shape[2] == 1 or _is_grey(pixels)):
        pixels = pixels[..., 0]
    height, width, channels = (*pixels.shape, 1)[:3]
    state = hashlib.sha256(b"%dx%dx%d:" % (height, width, channels))
    state.update(b"16:" if pixels.itemsize == 2 else b"")
    state.update(np.ascontiguousarray(pixels).data)
    return state.hexdigest()


def _is_grey(pixels: Shaped[np.ndarray, "h w c"]) -> bool:
    """Whether all channels are equal everywhere; the first row already rules out most colour images."""
    first = pixels[..., :1]
    return bool((pixels[0] == first[0]).all()) and bool((pixels == first).all())


def _examine_all(
    source: Source, todo: Sequence[Record], channels: int, workers: int, keep: Keep | None
) -> Iterator[tuple[Record, ImageCheck]]:
    """Checks in the order of `todo`, made by `workers` threads that run a bounded number of chunks ahead."""

    def chunk(records: list[Record]) -> list[tuple[Record, ImageCheck]]:
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


def _summary(source: Source, checks: list[ImageCheck], cached: int, cache: AuditCache, note: str) -> Audit:
    problems = list(source.problems)
    for record, check in zip(source.records, checks, strict=True):
        if not check.digest:
            problems.append(Problem(printable(record.name), None, check.reason, check.fix, id=record.id))
    notes = [f"the audit's cache {cache.damaged}; every image was decoded again"] if cache.damaged else []
    depth, depth_notes = _depth(source, checks)
    notes += [*_decoder_notes(checks), *depth_notes, *([note] if note else [])]
    return Audit(
        source=source,
        digest=tuple(check.digest for check in checks),
        size=np.array([(f.height, f.width) for f in checks], dtype=np.int64).reshape(-1, 2),  # (n, 2), also for n = 0
        mode=tuple(check.mode for check in checks),
        used=np.array([bool(check.digest) for check in checks], dtype=bool),
        problems=tuple(problems),
        notes=tuple(notes),
        turned=frozenset(row for row, f in enumerate(checks) if "exif-rotated" in f.notes),
        cached=cached,
        exact=tuple(check.exact or check.digest for check in checks),
        depth=depth,
    )


def _depth(source: Source, checks: list[ImageCheck]) -> tuple[int | None, list[str]]:
    """The depth of the images of 16 bits, from the largest value of all; and what is to be said about it."""
    peaks = [(check.peak, row) for row, check in enumerate(checks) if check.peak >= 0]
    if not peaks:
        return None, []
    peak, row = max(peaks)
    depth = depth_of(peak)
    usual = depth_of(sorted(peaks)[int(_NEARLY_ALL * (len(peaks) - 1))][0])
    if usual < depth:
        name = printable(source.records[row].name)
        text = f"images of 16 bits: nearly all use {usual} of them, but {name} reaches {peak:,}, so all are read as {depth}"
        return depth, [f"{text} bits; remove it if it is a mistake"]
    if depth == _FULL:
        return depth, []
    return depth, [
        f"images of 16 bits: no value above {peak:,} in {len(peaks):,}, so they are read as {depth} bits, where "
        f"{(1 << depth) - 1:,} is white"
    ]


_NOTES = {
    "exif-rotated": "rotated upright according to their EXIF data",
    "exif-unreadable": "used as stored, because their EXIF data are damaged",
    "alpha-composited": "transparent: composited on white",
    "first-frame-of-N": "of several frames: only the first is used",
    "16-bit-scaled": "of 16 bits: scaled to 8",
    "12-bit-scaled": "of 12 bits: scaled to 8",
    "16-bit-high-byte": "of 16 bits a channel: the high byte is used",
    "extra-bands-unused": "of more bands than colours and alpha, such as infrared: the others are not used",
    "cmyk-converted": "in CMYK: converted",
    "junk-after-end": "with foreign bytes after their end, which are ignored",
    "wrong-extension": "in a format other than their suffix says",
}


def _decoder_notes(checks: list[ImageCheck]) -> list[str]:
    """One note for each kind of conversion by the decoder, with the number of images."""
    codes = Counter("first-frame-of-N" if c.startswith("first-frame") else c for f in checks for c in f.notes)
    return [
        f"{_NOTES[code]}: {count:,} of {len(checks):,} images"
        for code, count in sorted(codes.items())
        if code in _NOTES
    ]
