"""Images, masks and splits of a folder → a data set: the part that all layouts with masks have in common."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from sightline.data.files.lists import SplitLists, lists_among, read_lists
from sightline.data.files.matching import pair
from sightline.data.files.walking import Walk
from sightline.data.formats.annotated.masks import MaskAnnotations
from sightline.data.formats.recognition.vocabulary import splits_of_paths
from sightline.data.records.names import split_named
from sightline.data.records.records import Files, Problem, Record
from sightline.data.records.source import Source
from sightline.storage.text import printable

from .classes import Classes


@dataclass(frozen=True)
class MaskFiles:
    """Where images and masks are: `images` and `masks` file → key, which a pair shares (but for words such as mask);
    `lists` the folder of the lists of splits; `notes` about what was not used."""

    images: dict[str, str]
    masks: dict[str, str]
    lists: tuple[str, ...] = ("", "ImageSets/Segmentation")
    notes: tuple[str, ...] = ()


def source_of(tree: Walk, files: MaskFiles, classes: Classes) -> Source:
    """The data set. Images without a mask of their own are quarantined."""
    images, masks = list(files.images), files.masks
    lists = next(filter(None, (lists_among(tree.files, folder) for folder in files.lists)), {})
    split_lists = read_lists(tree.root, lists, images, tree.lost) if lists else by_folder(images)
    problems = [*tree.refused, *split_lists.problems]
    records: list[Record] = []
    paired: dict[str, str] = {}
    pairs = pair({name: files.images[name] for name in split_lists.split}, masks, affixes=True)
    of_any = pair(files.images, masks, affixes=True)
    for name in sorted(split_lists.split):
        mask = pairs.partner.get(name)
        if mask is None:
            problems.append(_unpaired(name, pairs.contested.get(name, ())))
            continue
        records.append(Record(len(records), name, None, split_lists.split[name] or None))
        paired[name] = mask
    contents = Files(tree.root)
    notes = [classes.note, *files.notes, *split_lists.notes]
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
        annotations=MaskAnnotations(tree.root, contents, paired, classes.table, len(classes.names), classes.colours),
    )


def _unpaired(name: str, contested: Iterable[str]) -> Problem:
    """The problem of an image without a mask of its own."""
    if some := ", ".join(printable(other) for other in list(contested)[:4]):
        return Problem(
            printable(name), None, f"ambiguous: one name for {some}", "give each image and its mask one name"
        )
    reason = "no-mask: no PNG of the same name in the folder of masks"
    return Problem(printable(name), None, reason, "draw its mask, or remove the image")


def by_folder(images: list[str]) -> SplitLists:
    """The splits of images/train/x.jpg or train/images/x.jpg; "" for images in no split's folder."""
    split = {name: "" for name in images} | splits_of_paths(images)
    if any(split.values()):
        return SplitLists(split, frozenset(), (), (), frozenset(split.values()) - {""})
    for name in images:
        words = (split_named(part) for part in name.split("/")[:-1])
        split[name] = next((word for word in words if word), "")
    return SplitLists(split, frozenset(), (), (), frozenset(split.values()) - {""})
