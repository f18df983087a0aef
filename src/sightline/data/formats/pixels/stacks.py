"""TIFF stacks with masks: a file of many pages beside a file of as many masks, each page an image (ISBI 2012's
train-volume.tif and train-labels.tif; images/x.tif and masks/x.tif).

The pages are written into the cache as PNG files, by the SHA-256 of the stacks, and read as images/ and masks/. The pages of a
stack are neighbouring slices: they stay in one split where there are several stacks, and a single stack is cut into three
blocks, so that no page of val or test has its neighbours on both sides in train.
"""

from __future__ import annotations

import io
import os
import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from sightline.data.files.walking import Walk, walk
from sightline.data.records.names import IMAGE_SUFFIXES, suffix
from sightline.data.records.records import Record
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.preprocessing.containers import walk as structure
from sightline.preprocessing.decoder import MAX_PIXELS
from sightline.preprocessing.reading import read_bytes
from sightline.preprocessing.rejection import Rejected
from sightline.storage.caching import cache_folder
from sightline.storage.files import TEMPORARY, make_folder, no_space
from sightline.storage.folders import digest
from sightline.storage.reading import hash_regular
from sightline.storage.text import printable

from .assembly import MaskFiles, source_of
from .classes import LISTED, Classes, classes_of

MAX_STACK = 1 << 32  # bytes
MAX_PAGES = 10_000
_TIFF = (".tif", ".tiff")
_WORD = re.compile(
    r"[-_ .]?(?:(?P<mask>labels?|masks?|gt|seg(?:mentation)?|ground_?truth|annotations?)|volume|vol|stack|images?|raw)$",
    re.I,
)
_BLOCKS = (0.7, 0.85)  # where val and test begin in a single stack
_FIX = "write each page as a PNG of its own: images/ beside masks/"


def read_stacks(root: Path, tree: Walk, files: MaskFiles | None) -> Source | None:
    """The pages of the stacks in the folder; None where there are none. `files` are images and masks found by other rules.
    Raises DataError for stacks that do not fit their masks, or cannot be read."""
    pairs = _pairs(tree, files)
    if not pairs or _pages(root / min(pairs.values())) <= 1:
        return None
    for image, mask in pairs.items():
        one, two = _pages(root / image), _pages(root / mask)
        if one != two:
            raise DataError(f"{printable(image)} has {one:,} pages, {printable(mask)} has {two:,}", _FIX)
    place = _unpacked(root, pairs)
    inner = walk(str(place))
    images = {name: name[len("images/") : -len(".png")] for name in inner.files if name.startswith("images/")}
    masks = {name: name[len("masks/") : -len(".png")] for name in inner.files if name.startswith("masks/")}
    classes = _classes(root, tree, place, sorted(masks))
    source = source_of(inner, MaskFiles(images, masks), classes)
    records, note = _with_places(source.records, len(pairs))
    notes = (f"TIFF stacks whose pages are images: {len(pairs):,} with {len(records):,} pages", note, *source.notes)
    splits = frozenset(record.split for record in records if record.split)
    name = os.path.basename(tree.root) or "data"
    return replace(source, name=name, records=records, notes=notes, given_splits=splits)


def _pairs(tree: Walk, files: MaskFiles | None) -> dict[str, str]:
    """Stack → its masks: of images/ and masks/, else of names that differ in a last word."""
    if files is not None:
        by_key = {key: name for name, key in files.masks.items() if suffix(name) in _TIFF}
        return {name: by_key[key] for name, key in files.images.items() if suffix(name) in _TIFF and key in by_key}
    every = [name for name in tree.files if suffix(name) in IMAGE_SUFFIXES]
    if not 2 <= len(every) <= MAX_PAGES or not all(suffix(name) in _TIFF for name in every):
        return {}
    masks, images = dict[str, str](), dict[str, str]()
    for name in every:
        stem = os.path.splitext(name)[0]
        word = _WORD.search(stem)
        (masks if word and word["mask"] else images)[_WORD.sub("", stem)] = name
    return {images[key]: mask for key, mask in masks.items() if key in images}


def _pages(path: Path) -> int:
    try:
        container = structure(read_bytes(path, MAX_STACK))
    except Rejected as rejected:
        raise DataError(f"{printable(path.name)}: {rejected.detail}", rejected.hint) from rejected
    return container.frames or 1


def _classes(root: Path, tree: Walk, place: Path, masks: Sequence[str]) -> Classes:
    """By the list beside the stacks, else by the values of the pages."""
    if LISTED in tree.files:
        shutil.copyfile(root / LISTED, place / LISTED)
    else:
        (place / LISTED).unlink(missing_ok=True)
    return classes_of(place, [LISTED] if LISTED in tree.files else [], masks)


def _unpacked(root: Path, pairs: Mapping[str, str]) -> Path:
    """The folder of the pages in the cache: whole, or not there."""
    sums = [hash_regular(root / name)[1] for pair in sorted(pairs.items()) for name in pair]
    place = cache_folder() / "stacks" / digest(repr([sums, sorted(pairs)]).encode())[:32]
    if place.is_dir():
        return place
    make_folder(place.parent)
    temporary = place.parent / f"{TEMPORARY}{secrets.token_hex(6)}"
    try:
        for number, (image, mask) in enumerate(sorted(pairs.items())):
            for role, name in (("images", image), ("masks", mask)):
                make_folder(temporary / role)
                with no_space(place, 0):
                    _write(root / name, temporary / role, number)
        os.rename(temporary, place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return place


def _write(path: Path, folder: Path, number: int) -> None:
    """Every page as a PNG with the pixels that it has."""
    name, data = printable(path.name), read_bytes(path, MAX_STACK)
    try:
        with Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
            for page in range(getattr(image, "n_frames", 1)):
                image.seek(page)
                if image.width * image.height > MAX_PIXELS:
                    raise DataError(f"{name} page {page + 1}: {image.width} x {image.height} pixels", _FIX)
                image.load()
                if image.mode not in ("1", "L", "P", "RGB", "I;16", "I;16B"):
                    raise DataError(f"{name} page {page + 1}: pixels of the kind {image.mode} are not read", _FIX)
                pixels = (
                    image if not image.mode.startswith("I;16") else Image.fromarray(np.asarray(image).astype(np.uint16))
                )
                pixels.save(folder / f"{number:03d}-{page:05d}.png", compress_level=1)
    except DataError:
        raise
    except OSError as error:
        if error.errno is not None:
            raise
        raise DataError(f"{name}: {error}", "copy it again from its source") from error
    except Exception as error:  # as in the decoder: parsers raise anything
        raise DataError(f"{name}: {error or type(error).__name__}", "copy it again from its source") from error


def _with_places(records: Sequence[Record], stacks: int) -> tuple[tuple[Record, ...], str]:
    """The records with what keeps neighbours together."""
    if stacks > 1:
        of_stack = tuple(replace(r, group=r.name.rsplit("/", 1)[-1].partition("-")[0]) for r in records)
        return of_stack, "the pages of a stack stay in one split"
    val, test = (round(share * len(records)) for share in _BLOCKS)
    splits = ["train" if i < val else "val" if i < test else "test" for i in range(len(records))]
    cut = tuple(replace(record, split=split) for record, split in zip(records, splits, strict=True))
    return cut, f"one stack, cut into blocks: pages 1 to {val} are train, to {test} val, the others test"
