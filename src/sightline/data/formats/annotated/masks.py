"""A class for every pixel: images/ beside masks/, with a file of class indexes (grey or palette) or of colours for each image.

classes.txt names the classes, line number (from 0) = pixel value; the value 255 and entries called unlabelled, void or
ignore are ignored; but if two classes are listed and the masks hold 0 and 255 only, 255 is the second. Masks of 0 and 255,
or of 0 and 1, need no list: background and foreground. Splits come from train.txt, val.txt and test.txt, or from folders.
Layouts: images/x.jpg, images/train/x.jpg, train/images/x.jpg.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Bool, Int, UInt8
from PIL import Image

from sightline.data.audit.audit import pixel_hash
from sightline.data.audit.cache import ImageCheck, open_cache, save_cache
from sightline.data.formats.pixels.colours import UNKNOWN, ColourTable
from sightline.data.records.annotations import UNDECIDED, Annotations, Inspection, Mask
from sightline.data.records.records import IGNORED, QUARANTINED, Contents, Files, Problem, Record
from sightline.data.records.source import Source
from sightline.data.records.upright import Stored, stored, upright
from sightline.errors import DataError
from sightline.preprocessing.containers import Container, check_complete, walk
from sightline.preprocessing.decoder import MAX_BYTES, MAX_PIXELS
from sightline.preprocessing.reading import read_bytes
from sightline.preprocessing.rejection import Rejected
from sightline.preprocessing.tiff import COMPRESSION
from sightline.storage.text import printable
from sightline.structures.targets import IGNORE

COMMON = 0.9  # share of the masks that hold a value, for a remark on it
TRIED = 64  # masks that are read before their values are believed
LOSSLESS = ("PNG", "GIF", "BMP", "TIFF")
LOSSY = (6, 7, 34712, 50001, 50002)  # compressions of a TIFF that change values: JPEG, JPEG 2000, WebP, JPEG XL


def read_mask(path: Path, colours: ColourTable | None = None) -> Mask:
    """The class index of every pixel as stored, (h, w); with a table of colours, the row of its colour. Raises Rejected."""
    values = _stored(path, colours is not None)
    return values if colours is None else colours.values(_in_colour(values))


def unknown_colours(path: Path, colours: ColourTable) -> list[tuple[str, int]]:
    """The colours of a mask that the table does not hold, with their pixels. Raises Rejected."""
    return colours.unknown(_in_colour(_stored(path, True)))


def _in_colour(values: UInt8[np.ndarray, "h w ..."]) -> UInt8[np.ndarray, "h w 3"]:
    return values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)


def is_grey(path: Path) -> bool:
    """Whether the mask is stored as grey values, without colours or palette. Raises Rejected."""
    return _stored(path, True).ndim == 2


def _stored(path: Path, in_colour: bool) -> UInt8[np.ndarray, "h w ..."]:
    """The values of a mask, (h, w); `in_colour`: of one with colours or a palette the colours, (h, w, 3). Raises Rejected."""
    data, name = read_bytes(path, MAX_BYTES), printable(str(path))
    container = walk(data)
    if container.format not in LOSSLESS or container.tags.get(COMPRESSION, (1,))[0] in LOSSY:
        raise Rejected("unsupported-format", f"a mask must be a PNG, not {_lossy(container)}", name)
    if not 0 < max(container.width * container.height, container.area) <= MAX_PIXELS:
        raise Rejected("too-many-pixels", f"{container.width} x {container.height} pixels", name)
    if (container.frames or 1) > 1:
        raise Rejected(
            "unsupported-format", f"a mask of {container.frames} pages", name, "export one mask for each image"
        )
    check_complete(data, container)
    try:
        with Image.open(io.BytesIO(container.essential(data)), formats=(container.format,)) as image:
            image.load()
            palette = image.convert("RGB") if image.mode == "P" and (in_colour or container.format == "GIF") else None
            values, mode = np.asarray(image if palette is None else palette), image.mode
    except Exception as error:  # as in the decoder: no bytes may end a training
        raise Rejected("damaged", f"{container.format}: {error or type(error).__name__}", name) from error
    if mode == "L" and container.bits < 8 and container.format == "PNG":  # Pillow spreads 2 and 4 bits to 0-255
        values = values // (255 // ((1 << container.bits) - 1))
    if mode in ("LA", "RGBA"):
        if (values[..., -1] != 255).any():
            text = "a mask with transparent pixels, whose class cannot be told"
            raise Rejected("unsupported-format", text, name, "export it without transparency")
        values = values[..., 0] if mode == "LA" else values[..., :3]
    if values.ndim == 3 and not in_colour and (values == values[..., :1]).all():
        values = values[..., 0]  # also of a GIF, whose writers order palettes as they like: the shades of grey count
    if (values.ndim != 2 and not (in_colour and values.shape[-1] == 3)) or values.max() > 255:
        kind = "in colour" if values.ndim == 3 else f"of values up to {values.max()}"
        text = f"a mask {kind} instead of one class index per pixel, 0 to 254"
        fix = (
            "export the class indexes as a grey or palette PNG, and name them in classes.txt; or say what the colours stand "
            "for: class_dict.csv with name,r,g,b"
        )
        raise Rejected("unsupported-format", text, name, fix)
    return values.astype(np.uint8)


def _lossy(container: Container) -> str:
    return container.format if container.format != "TIFF" else "a TIFF with lossy compression"


@final
@dataclass(frozen=True, eq=False)
class MaskAnnotations(Annotations):
    """`mask` image → mask, relative names below `root`; `table` (256,) value → class index, IGNORE, or -1 if the
    list has no such value; `colours`: what the values are, of masks in colour."""

    root: str
    contents: Contents
    mask: dict[str, str]
    table: Int[np.ndarray, "256"]
    classes: int
    colours: ColourTable | None = None

    knows = "masks"
    unit = "pixels"

    def truth(self, record: Record) -> Mask:
        values = read_mask(Path(self.root, self.mask[record.name]), self.colours)
        size = stored(self.contents.load(record))
        if values.shape == size.size:  # also if it fits both frames: `upright` says why
            values = upright(values, size.orientation)
        elif values.shape != size.oriented:
            raise DataError(f"{printable(self.mask[record.name])} has changed since the audit", "start again")
        return np.where(self.table < 0, IGNORE, self.table).astype(np.uint8)[values]

    def inspect(
        self, records: Sequence[Record], sizes: Sequence[Stored], *, workers: int, cache_dir: Path | None
    ) -> list[Inspection]:
        checks = self._checks(records, workers, cache_dir)
        looks = [self._inspect(record, size, check) for record, size, check in zip(records, sizes, checks, strict=True)]
        remark = self._remark_on_values([check for check in checks if check.digest])
        return [look._replace(remarks=(*look.remarks, *remark)) if look.digest else look for look in looks]

    def _remark_on_values(self, checks: Sequence[ImageCheck]) -> tuple[str, ...]:
        """What speaks for a list that numbers the classes otherwise than the masks do."""
        present = np.zeros(256, dtype=np.int64)
        for check in checks:
            present[_counts(check) > 0] += 1
        absent = np.flatnonzero((self.table >= 0) & (self.table != IGNORE) & (present == 0))
        common = np.flatnonzero(((self.table < 0) | (self.table == IGNORE)) & (present >= COMMON * max(len(checks), 1)))
        if not len(absent) or not len(common):
            return ()
        some, others = (", ".join(str(value) for value in values[:10].tolist()) for values in (absent, common))
        return (f"masks: no mask holds the listed values {some}, while nearly all hold {others}, which count nowhere",)

    def _checks(self, records: Sequence[Record], workers: int, cache_dir: Path | None) -> list[ImageCheck]:
        """Size and values of every mask, read by threads; those of unchanged files come from the audit's cache."""
        files = Files(self.root)
        masks = [replace(record, name=self.mask[record.name]) for record in records]
        top = os.path.commonpath([os.path.dirname(m.name) for m in masks]) if masks else ""
        key = f"{self.root}/{top or '.'}/*{self.colours.key if self.colours is not None else ''}"
        kept = Source("masks", "masks", key, (), (), files)  # a cache file of its own
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
        path, strange = Path(self.root, mask.name), list[tuple[str, int]]()
        try:
            values = read_mask(path, self.colours)
            if self.colours is not None and (values == UNKNOWN).any():
                strange = unknown_colours(path, self.colours)
        except Rejected as rejected:
            return ImageCheck("", reason=f"bad-mask: {rejected.reason}: {rejected.detail}", fix=rejected.hint)
        counts = np.bincount(values.reshape(-1), minlength=256)  # (h, w) → (hw,)
        notes = tuple(f"{value}:{counts[value]}" for value in np.flatnonzero(counts).tolist())
        notes += tuple(f"{colour}:{count}" for colour, count in strange)
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
        counts = _counts(check)
        listed = (self.table >= 0) & (self.table != IGNORE)
        np.add.at(amount, self.table[listed], counts[listed])
        beyond = (self.table < 0) & (counts > 0)
        if self.colours is not None:
            beyond[UNKNOWN] = counts[UNKNOWN] > 0
        turned = size.orientation > 1 and shape == size.size
        digest = f"{check.digest}:{size.orientation if turned else 'upright'}"
        remarks = (UNDECIDED,) if size.orientation > 1 and size.size == size.oriented else ()
        if not beyond.any():
            return Inspection(digest, amount, remarks=remarks)
        reason, fix = self._unknown(check, counts, beyond)
        if counts[~beyond].sum() == 0:
            return refuse(reason, fix)
        problem = Problem(name, None, reason, fix, IGNORED, record.id)
        return Inspection(digest, amount, (problem,), remarks=remarks)

    def _unknown(
        self, check: ImageCheck, counts: Int[np.ndarray, "256"], beyond: Bool[np.ndarray, "256"]
    ) -> tuple[str, str]:
        """Why pixels have no class, and the fix."""
        share = f"{counts[beyond].sum():,} of {counts.sum():,} pixels"
        if self.colours is not None:
            some = ", ".join(note.partition(":")[0] for note in check.notes if note.startswith("#"))
            file = printable(self.colours.file)
            return f"unknown-colour: {share} have colours that {file} does not hold: {some}", f"add them to {file}"
        values = ", ".join(str(value) for value in np.flatnonzero(beyond)[:10].tolist())
        fix = "add the missing classes to classes.txt, or correct the mask"
        return f"unknown-value: {share} have values without a class: {values}", fix


def _counts(check: ImageCheck) -> Int[np.ndarray, "256"]:
    """The number of pixels of each value."""
    counts = np.zeros(256, dtype=np.int64)
    for note in check.notes:
        value, _, count = note.partition(":")
        if not value.startswith("#"):
            counts[int(value)] = int(count)
    return counts


def is_second_class(listed: int, masks: Iterable[Path]) -> bool:
    """Whether 255 is the second of `listed` classes: there are two, and 0 and 255 are all that the masks hold. They are read
    until another value settles it. Raises DataError for a single class, of which 255 would be what is left out."""
    values: set[int] = set()
    for number, path in enumerate(masks if listed <= 2 else ()):
        if number >= TRIED and values - {0}:
            break
        with suppress(Rejected):
            values |= set(np.unique(read_mask(path)).tolist())
        if values - {0, 255}:
            return False
    if listed == 1 and values == {0, 255}:
        raise DataError(
            "classes.txt names one class, and the masks hold 0 and 255",
            "name two, background and foreground, one per line",
        )
    return listed == 2 and 255 in values


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
