"""Finds images/ and masks/ in a folder, pairs them, and reads the list of classes. See `masks` for the layouts."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from sightline.data.files.encodings import read_text
from sightline.data.files.lists import Listed, lists_among, read_lists
from sightline.data.files.walking import Walk
from sightline.data.records.names import IMAGE_SUFFIXES, class_text, class_texts, split_named, suffix
from sightline.data.records.records import Files, Problem, Record
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.preprocessing.rejection import Rejected
from sightline.storage.text import shown
from sightline.structures.targets import IGNORE

from .masks import Masked, plain_values, table_of

PICTURES = {"images", "jpegimages", "img", "imgs"}
MASKS = {"masks", "mask"}
NAMELESS = {"unlabelled", "unlabeled", "void", "ignore", "ignored", "background-ignored"}
LISTED = "classes.txt"
_TRIED = 64  # masks that are looked into where no list names their values


class _Classes(NamedTuple):
    names: tuple[str, ...]
    table: Int[np.ndarray, "256"]
    note: str


def read_pixel_folder(root: Path, found: Walk) -> Source | None:
    """The data set of images and masks in `root`; None where it is none. Raises DataError where the list of classes is
    missing or cannot be read."""
    masks = {_key(name, MASKS): name for name in found.files if suffix(name) == ".png" and _key(name, MASKS)}
    images = [name for name in found.files if suffix(name) in IMAGE_SUFFIXES and _key(name, PICTURES)]
    if not masks or not images:
        return None
    classes = _classes(root, found.files, sorted(masks.values()))
    lists = lists_among(found.files, "")
    listed = read_lists(found.root, lists, images, found.lost) if lists else _by_folder(images)
    problems = [*found.refused, *listed.problems]
    records: list[Record] = []
    paired: dict[str, str] = {}
    for name in sorted(listed.split):
        mask = masks.get(_key(name, PICTURES))
        if mask is None:
            fix = "draw its mask, or remove the image"
            problems.append(Problem(shown(name), None, "no-mask: no PNG of the same name in the masks' folder", fix))
            continue
        records.append(Record(len(records), name, None, listed.split[name] or None))
        paired[name] = mask
    contents = Files(found.root)
    notes = [classes.note, *listed.notes]
    if unlisted := len(set(images) - set(listed.split) - listed.torn):
        notes.append(f"images that no list names, not used: {unlisted:,}")
    if spare := len(set(masks) - {_key(name, PICTURES) for name in images}):
        notes.append(f"masks without an image: {spare:,}")
    return Source(
        name=os.path.basename(found.root) or "data",
        kind="masks",
        root=found.root,
        records=tuple(records),
        classes=classes.names,
        contents=contents,
        given_splits=listed.given,
        notes=tuple(notes),
        problems=tuple(problems),
        annotations=Masked(found.root, contents, paired, classes.table, len(classes.names)),
    )


def _key(name: str, folders: set[str]) -> str:
    """The path with its images' or masks' folder and its suffix taken out: what an image and its mask share. "" where no
    such folder is at its top or in a split's."""
    parts = os.path.splitext(name)[0].split("/")
    place = next((i for i, part in enumerate(parts[:-1]) if part.casefold() in folders), None)
    if place is None or not all(split_named(part) for part in parts[:place]):
        return ""
    return "/".join([*parts[:place], *parts[place + 1 :]])


def _by_folder(images: list[str]) -> Listed:
    """images/train/x.jpg or train/images/x.jpg; "" for images in no split's folder."""
    split = {}
    for name in images:
        words = (split_named(part) for part in name.split("/")[:-1])
        split[name] = next((word for word in words if word), "")
    return Listed(split, frozenset(), (), (), frozenset(split.values()) - {""})


def _classes(root: Path, files: list[str], masks: list[str]) -> _Classes:
    if LISTED in files:
        return _listed_classes(root / LISTED)
    spread = {i * len(masks) // _TRIED for i in range(_TRIED)}  # all of them where they are fewer
    rest = (Path(root, name) for i, name in enumerate(masks) if i not in spread)
    try:
        values = plain_values([Path(root, masks[i]) for i in sorted(spread)])
        while values == {0} and (another := next(rest, None)):  # what is marked may be rare
            with suppress(Rejected):
                values |= plain_values([another])
    except Rejected as rejected:
        text = f"{shown(str(root))} holds annotations for boxes or masks that cannot be read: {rejected.message}"
        raise DataError(text, rejected.hint) from rejected
    if values == {0}:
        raise DataError(f"the masks of {shown(str(root))} hold nothing but 0", "mark the foreground by 1 or by 255")
    for foreground in (1, 255):
        if values <= {0, foreground}:
            note = f"masks: no {LISTED}, and only 0 and {foreground} in them: background and foreground"
            return _Classes(("background", "foreground"), table_of({0: 0, foreground: 1}), note)
    some = ", ".join(str(value) for value in sorted(values)[:10]) + (" …" if len(values) > 10 else "")
    raise DataError(
        f"{shown(str(root))} has no {LISTED}, and its masks hold {some}",
        f"write {LISTED}: a class a line, the line's number, from 0, being the pixel's value",
    )


def _listed_classes(path: Path) -> _Classes:
    """Names by line. A nameless entry counts nowhere; blank lines only at the end."""
    text, note = read_text(path)
    lines = text.rstrip().splitlines()
    if not text.strip() or len(lines) > 255:
        raise DataError(
            f"{LISTED} names {len(lines) if text.strip() else 0} classes", "1 to 255 of them, a name a line"
        )
    names: list[str] = []
    nameless: list[str] = []
    table: dict[int, int] = {}
    for value, line in enumerate(lines):
        word = line.strip()
        if not word:
            raise DataError(f"{LISTED} line {value + 1} is empty", "the line's number is the pixel's value: name it")
        if word.casefold().replace("_", "-").replace(" ", "-") in NAMELESS:
            table[value] = IGNORE
            nameless.append(f"{value} ({shown(word)})")
            continue
        if word in names:
            raise DataError(f"{LISTED} line {value + 1}: the class {shown(word)} is named twice", "rename one of them")
        table[value] = len(names)
        names.append(word)
    class_texts(names)
    if not names:
        raise DataError(f"{LISTED} names no class", "a name a line")
    said = f"masks: {LISTED} names {len(lines)} values; ignored: {', '.join([*nameless, '255'])}"
    return _Classes(tuple(class_text(name) for name in names), table_of(table), f"{said}; {note}" if note else said)
