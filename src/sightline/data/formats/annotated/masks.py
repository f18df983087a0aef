"""A class for every pixel: images/ beside masks/, with a PNG of class indexes (grey or palette) for each image.

classes.txt names the classes, line number (from 0) = pixel value; the value 255 and entries called unlabelled, void or
ignore are ignored. Masks of 0 and 255, or of 0 and 1, need no list: background and foreground. Splits come from
train.txt, val.txt and test.txt, or from folders. Layouts: images/x.jpg, images/train/x.jpg, train/images/x.jpg.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Int
from PIL import Image

from sightline.data.audit.audit import pixel_hash
from sightline.data.audit.cache import ImageCheck, open_cache, save_cache
from sightline.data.records.annotations import Annotations, Inspection, Mask
from sightline.data.records.records import QUARANTINED, Contents, Files, Problem, Record
from sightline.data.records.source import Source
from sightline.data.records.upright import Stored, stored, upright
from sightline.errors import DataError
from sightline.preprocessing.containers import check_complete, walk
from sightline.preprocessing.decoder import MAX_BYTES, MAX_PIXELS
from sightline.preprocessing.reading import read_bytes
from sightline.preprocessing.rejection import Rejected
from sightline.storage.text import printable
from sightline.structures.targets import IGNORE

IGNORED = "ignored"  # the action of a problem whose pixels are ignored while the image stays in use


def read_mask(path: Path) -> Mask:
    """The class index of every pixel as stored, (h, w). Raises Rejected."""
    data = read_bytes(path, MAX_BYTES)
    container = walk(data)
    if container.format != "PNG":
        raise Rejected("unsupported-format", f"a mask must be a PNG, not {container.format}", printable(str(path)))
    if not 0 < container.width * container.height <= MAX_PIXELS:
        raise Rejected("too-many-pixels", f"{container.width} x {container.height} pixels", printable(str(path)))
    check_complete(data, container)
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            image.load()
            values, mode = np.asarray(image), image.mode
    except Exception as error:  # as in the decoder: no bytes may end a training
        raise Rejected("damaged", f"PNG: {error or type(error).__name__}", printable(str(path))) from error
    if mode == "L" and container.bits < 8:  # Pillow spreads 2 and 4 bits to 0-255
        values = values // (255 // ((1 << container.bits) - 1))
    elif mode == "RGB" and (values == values[..., :1]).all():
        values = values[..., 0]
    if values.ndim != 2 or values.max() > 255:
        kind = "in colour" if values.ndim == 3 else f"of values up to {values.max()}"
        raise Rejected(
            "unsupported-format", f"a mask {kind} instead of one class index per pixel, 0 to 254", printable(str(path))
        )
    return values.astype(np.uint8)


@final
@dataclass(frozen=True, eq=False)
class MaskAnnotations(Annotations):
    """`mask` image → mask, relative names below `root`; `table` (256,) value → class index, IGNORE, or -1 if the
    list has no such value."""

    root: str
    contents: Contents
    mask: dict[str, str]
    table: Int[np.ndarray, "256"]
    classes: int

    knows = "masks"
    unit = "pixels"

    def truth(self, record: Record) -> Mask:
        values = read_mask(Path(self.root, self.mask[record.name]))
        size = stored(self.contents.load(record))
        if values.shape != size.oriented:
            if values.shape != size.size:
                raise DataError(f"{printable(self.mask[record.name])} has changed since the audit", "start again")
            values = upright(values, size.orientation)
        return np.where(self.table < 0, IGNORE, self.table).astype(np.uint8)[values]

    def inspect(
        self, records: Sequence[Record], sizes: Sequence[Stored], *, workers: int, cache_dir: Path | None
    ) -> list[Inspection]:
        checks = self._checks(records, workers, cache_dir)
        return [self._inspect(record, size, check) for record, size, check in zip(records, sizes, checks, strict=True)]

    def _checks(self, records: Sequence[Record], workers: int, cache_dir: Path | None) -> list[ImageCheck]:
        """Size and values of every mask, read by threads; those of unchanged files come from the audit's cache."""
        files = Files(self.root)
        masks = [replace(record, name=self.mask[record.name]) for record in records]
        top = os.path.commonpath([os.path.dirname(m.name) for m in masks]) if masks else ""
        kept = Source("masks", "masks", f"{self.root}/{top or '.'}/*", (), (), files)  # a cache file of its own
        cache = open_cache(cache_dir, kept)
        stamps = [files.stamp(mask) if cache.path else None for mask in masks]
        checks = [cache.get(mask, stamp) for mask, stamp in zip(masks, stamps, strict=True)]
        todo = [row for row, check in enumerate(checks) if check is None]
        with ThreadPoolExecutor(max(workers, 1), thread_name_prefix="masks") as pool:
            for row, check in zip(todo, pool.map(lambda row: self._check(masks[row]), todo), strict=True):
                checks[row] = check
        if todo:
            save_cache(cache, masks, stamps, checks)
        return [check for check in checks if check is not None]

    def _check(self, mask: Record) -> ImageCheck:
        """Facts about the file alone, which can be cached; `_inspect` applies the list of classes, which may change."""
        try:
            values = read_mask(Path(self.root, mask.name))
        except Rejected as rejected:
            return ImageCheck("", reason=f"bad-mask: {rejected.reason}: {rejected.detail}", fix=rejected.hint)
        counts = np.bincount(values.reshape(-1), minlength=256)  # (h, w) → (hw,)
        notes = tuple(f"{value}:{counts[value]}" for value in np.flatnonzero(counts).tolist())
        return ImageCheck(pixel_hash(values), values.shape[0], values.shape[1], "", notes)

    def _inspect(self, record: Record, size: Stored, check: ImageCheck) -> Inspection:
        name = printable(self.mask[record.name])
        amount = np.zeros(self.classes, dtype=np.int64)

        def refuse(reason: str, fix: str) -> Inspection:
            return Inspection("", amount, (Problem(name, None, reason, fix, QUARANTINED, record.id),))

        if not check.digest:
            return refuse(check.reason, check.fix)
        shape = (check.height, check.width)
        if shape not in (size.size, size.oriented):
            mask_size, image_size = f"{shape[1]} x {shape[0]}", f"{size.oriented[1]} x {size.oriented[0]}"
            return refuse(f"size-mismatch: a mask of {mask_size} for an image of {image_size}", "export the mask again")
        counts = np.zeros(256, dtype=np.int64)
        for note in check.notes:
            value, _, count = note.partition(":")
            counts[int(value)] = int(count)
        listed = (self.table >= 0) & (self.table != IGNORE)
        np.add.at(amount, self.table[listed], counts[listed])
        beyond = (self.table < 0) & (counts > 0)
        digest = f"{check.digest}:{'upright' if shape == size.oriented else size.orientation}"
        if not beyond.any():
            return Inspection(digest, amount)
        values = ", ".join(str(value) for value in np.flatnonzero(beyond)[:10].tolist())
        reason = (
            f"unknown-value: {counts[beyond].sum():,} of {counts.sum():,} pixels have values without a class: {values}"
        )
        fix = "add the missing classes to classes.txt, or correct the mask"
        if counts[~beyond].sum() == 0:
            return refuse(reason, fix)
        return Inspection(digest, amount, (Problem(name, None, reason, fix, IGNORED, record.id),))


def table_of(values: dict[int, int]) -> Int[np.ndarray, "256"]:
    """Value → class index or IGNORE; -1 for all others. 255 is IGNORE unless `values` says otherwise."""
    table = np.full(256, -1, dtype=np.int64)
    table[255] = IGNORE
    for value, index in values.items():
        table[value] = index
    return table


def plain_values(paths: Sequence[Path]) -> set[int]:
    """All values in the masks that can be read. Raises Rejected if none can."""
    values: set[int] = set()
    fault: Rejected | None = None
    for path in paths:
        try:
            values |= set(np.unique(read_mask(path)).tolist())
        except Rejected as rejected:
            fault = rejected
    if not values and fault:
        raise fault
    return values
