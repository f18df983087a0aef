"""Pairs the images and masks in a folder and reads the list of classes. See `masks` for the layouts."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from sightline.data.files.encodings import read_text
from sightline.data.files.lists import SplitLists, lists_among, read_lists
from sightline.data.files.matching import pair
from sightline.data.files.walking import Walk
from sightline.data.formats.recognition.pairing import MaskPairs, find_masks, images_by_folder
from sightline.data.formats.recognition.vocabulary import names_masks, split_in, splits_of_paths
from sightline.data.records.names import IMAGE_SUFFIXES, class_text, class_texts, split_named, suffix
from sightline.data.records.records import Files, Problem, Record
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.preprocessing.rejection import Rejected
from sightline.storage.text import printable
from sightline.structures.targets import IGNORE

from .masks import MaskAnnotations, is_second_class, plain_values, table_of

PICTURES = {"images", "jpegimages", "img", "imgs"}
MASKS = {"masks", "mask"}
NAMELESS = {"unlabelled", "unlabeled", "void", "ignore", "ignored", "background-ignored"}
LISTED = "classes.txt"
_TRIED = 64  # masks that are read first if no list names their values


class _Classes(NamedTuple):
    names: tuple[str, ...]
    table: Int[np.ndarray, "256"]
    note: str


def read_pixel_folder(root: Path, tree: Walk) -> Source | None:
    """The data set of images and masks in `root`; None if there is none. Raises DataError if the list of classes is needed
    and missing, or cannot be read."""
    keys, masks = _pictures_and_masks(tree)
    if not masks or not keys:
        return None
    images = list(keys)
    classes = _classes(root, tree.files, sorted(masks))
    lists = lists_among(tree.files, "") or lists_among(tree.files, "ImageSets/Segmentation")
    split_lists = read_lists(tree.root, lists, images, tree.lost) if lists else _by_folder(images)
    problems = [*tree.refused, *split_lists.problems]
    records: list[Record] = []
    paired: dict[str, str] = {}
    pairs = pair({name: keys[name] for name in split_lists.split}, masks, affixes=True)
    of_any = pair(keys, masks, affixes=True)
    for name in sorted(split_lists.split):
        mask = pairs.partner.get(name)
        if mask is None and name in pairs.contested:
            some = ", ".join(printable(other) for other in pairs.contested[name][:4])
            fix = "give each image and its mask one name"
            problems.append(Problem(printable(name), None, f"ambiguous: one name for {some}", fix))
            continue
        if mask is None:
            fix = "draw its mask, or remove the image"
            problems.append(
                Problem(printable(name), None, "no-mask: no PNG of the same name in the folder of masks", fix)
            )
            continue
        records.append(Record(len(records), name, None, split_lists.split[name] or None))
        paired[name] = mask
    contents = Files(tree.root)
    notes = [classes.note, *split_lists.notes]
    if unlisted := len(set(images) - set(split_lists.split) - split_lists.contested):
        notes.append(f"images in no list, not used: {unlisted:,}")
    named = {
        *pairs.partner.values(),
        *of_any.partner.values(),
        *(name for of in of_any.contested.values() for name in of),
    }
    if spare := len(set(masks) - named):
        notes.append(f"masks without an image: {spare:,}")
    return Source(
        name=os.path.basename(tree.root) or "data",
        kind="masks",
        root=tree.root,
        records=tuple(records),
        classes=classes.names,
        contents=contents,
        given_splits=split_lists.named_splits,
        notes=tuple(notes),
        problems=tuple(problems),
        annotations=MaskAnnotations(tree.root, contents, paired, classes.table, len(classes.names)),
    )


def _pictures_and_masks(tree: Walk) -> tuple[dict[str, str], dict[str, str]]:
    """(image → key, mask → key): in images/ and masks/, or in folders of other names that say the same (train/ and
    trainannot/). Empty where several folders could hold the masks of one, or where they hold no PNG: neither is guessed."""
    if not any(names_masks(part) for folder in tree.folders for part in folder.split("/")):
        return {}, {}
    masks: dict[str, str] = {}
    images: dict[str, str] = {}
    if any(part.casefold() in MASKS for folder in tree.folders for part in folder.split("/")):
        masks = {name: _key(name, MASKS) for name in tree.files if suffix(name) == ".png" and _key(name, MASKS)}
    if masks:
        images = {n: _key(n, PICTURES) for n in tree.files if suffix(n) in IMAGE_SUFFIXES and _key(n, PICTURES)}
    found = [
        pairs
        for pairs in find_masks(Path(tree.root), images_by_folder(tree.files), plain_only=True)
        if _is_whole(pairs)
    ]
    folders = {pairs.pictures: pairs.masks for pairs in found}
    if len(folders) < len(found):
        return {}, {}
    if masks and images:
        return images, masks
    folder = {pairs.masks: pairs.pictures for pairs in found}
    images = {
        n: os.path.splitext(n)[0] for n in tree.files if n.rpartition("/")[0] in folders and suffix(n) in IMAGE_SUFFIXES
    }
    inside = [name for name in tree.files if name.rpartition("/")[0] in folder and suffix(name) in IMAGE_SUFFIXES]
    if not all(suffix(name) == ".png" for name in inside):
        return {}, {}
    masks = {n: f"{folder[n.rpartition('/')[0]]}/{os.path.splitext(n.rsplit('/', 1)[-1])[0]}" for n in inside}
    return images, masks


def _is_whole(pairs: MaskPairs) -> bool:
    """Whether all that stands above the two folders are splits: below classes or patients, more than pixels is known."""
    return all(split_in(part) for part in pairs.pictures.split("/")[: pairs.place])


def _key(name: str, folders: set[str]) -> str:
    """The path without the images/ or masks/ folder and without its suffix, which an image and its mask share: "train/7" for
    "train/images/7.jpg" and "masks/train/7.png". "" if there is no such folder at the top or in the folder of a split."""
    parts = os.path.splitext(name)[0].split("/")
    place = next((i for i, part in enumerate(parts[:-1]) if part.casefold() in folders), None)
    if place is None or not all(split_named(part) for part in parts[:place]):
        return ""
    return "/".join([*parts[:place], *parts[place + 1 :]])


def _by_folder(images: list[str]) -> SplitLists:
    """The splits of images/train/x.jpg or train/images/x.jpg; "" for images in no split's folder."""
    split = {name: "" for name in images} | splits_of_paths(images)
    if any(split.values()):
        return SplitLists(split, frozenset(), (), (), frozenset(split.values()) - {""})
    for name in images:
        words = (split_named(part) for part in name.split("/")[:-1])
        split[name] = next((word for word in words if word), "")
    return SplitLists(split, frozenset(), (), (), frozenset(split.values()) - {""})


def _classes(root: Path, files: list[str], masks: list[str]) -> _Classes:
    if LISTED in files:
        classes = _listed_classes(root / LISTED)
        if is_second_class(int((classes.table[:255] >= 0).sum()), (Path(root, name) for name in masks)):
            table = table_of({0: 0, 255: 1})
            note = f"masks: {LISTED} names two classes, and only 0 and 255 are in the masks: 255 is {classes.names[1]}"
            return _Classes(classes.names, table, note)
        return classes
    spread = {i * len(masks) // _TRIED for i in range(_TRIED)}  # all of them if there are fewer
    rest = (Path(root, name) for i, name in enumerate(masks) if i not in spread)
    try:
        values = plain_values([Path(root, masks[i]) for i in sorted(spread)])
        while values == {0} and (another := next(rest, None)):  # the foreground may be rare
            with suppress(Rejected):
                values |= plain_values([another])
    except Rejected as rejected:
        text = f"{printable(str(root))} holds annotations for boxes or masks that cannot be read: {rejected.message}"
        raise DataError(text, rejected.hint) from rejected
    if values == {0}:
        raise DataError(f"the masks of {printable(str(root))} hold nothing but 0", "mark the foreground with 1 or 255")
    for foreground in (1, 255):
        if values <= {0, foreground}:
            note = f"masks: no {LISTED}, and only 0 and {foreground} in them: background and foreground"
            return _Classes(("background", "foreground"), table_of({0: 0, foreground: 1}), note)
    some = ", ".join(str(value) for value in sorted(values)[:10]) + (" …" if len(values) > 10 else "")
    raise DataError(
        f"{printable(str(root))} has no {LISTED}, and its masks hold {some}",
        f"write {LISTED} with one class per line: the line number, from 0, is the pixel value",
    )


def _listed_classes(path: Path) -> _Classes:
    """Names by line. Pixels of a nameless entry are ignored; blank lines may only be at the end."""
    text, note = read_text(path)
    lines = text.rstrip().splitlines()
    if not text.strip() or len(lines) > 255:
        raise DataError(
            f"{LISTED} names {len(lines) if text.strip() else 0} classes", "write 1 to 255 names, one per line"
        )
    names: list[str] = []
    nameless: list[str] = []
    table: dict[int, int] = {}
    for value, line in enumerate(lines):
        word = line.strip()
        if not word:
            raise DataError(f"{LISTED} line {value + 1} is empty", "name the class: the line number is the pixel value")
        if word.casefold().replace("_", "-").replace(" ", "-") in NAMELESS:
            table[value] = IGNORE
            nameless.append(f"{value} ({printable(word)})")
            continue
        if word in names:
            raise DataError(
                f"{LISTED} line {value + 1}: the class {printable(word)} is named twice", "rename one of them"
            )
        table[value] = len(names)
        names.append(word)
    class_texts(names)
    if not names:
        raise DataError(f"{LISTED} names no class", "write one name per line")
    summary = f"masks: {LISTED} names {len(lines)} values; ignored: {', '.join([*nameless, '255'])}"
    return _Classes(
        tuple(class_text(name) for name in names), table_of(table), f"{summary}; {note}" if note else summary
    )
