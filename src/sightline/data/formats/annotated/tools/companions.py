"""Which file of annotations belongs to which image, where a tool writes one file an image: beside it, or in a parallel tree.

The key of a file is its path without its suffix and without the folders that say what lies in them: train/images/7.jpg and
train/labels/7.txt are both train/7. Only folders that hold files of one side alone can say so.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence

from sightline.data.files.lists import SplitLists, lists_among, read_lists
from sightline.data.files.matching import Pairs, pair, stem
from sightline.data.files.walking import Walk
from sightline.data.formats.recognition.vocabulary import names_masks, names_pictures, split_in, splits_of_paths
from sightline.data.records.names import IMAGE_SUFFIXES, suffix
from sightline.data.records.records import Problem
from sightline.storage.text import printable


def images_among(tree: Walk) -> list[str]:
    """The files of a folder that are images by their suffix."""
    return [name for name in tree.files if suffix(name) in IMAGE_SUFFIXES]


def companions(images: Collection[str], files: Collection[str]) -> Pairs:
    """The file of annotations of each image."""
    mine, theirs = _folders(images), _folders(files)
    own = {name: _key(stem(name), theirs, mine - theirs) for name in images}
    others = {name: _key(stem(os.path.splitext(name)[0]), mine, theirs - mine) for name in files}
    return pair(own, others)


def paired(pairs: Pairs) -> set[str]:
    """All files of annotations that belong to images, or to several."""
    return {*pairs.partner.values(), *(name for of in pairs.contested.values() for name in of)}


def _folders(names: Iterable[str]) -> set[str]:
    return {part for name in names for part in name.split("/")[:-1]}


def _key(path: str, shared: Collection[str], alone: Collection[str]) -> str:
    """The path without the folders of one side only, where their names or their being the only one say what they hold; a
    split in such a name stays."""
    *folders, last = path.split("/")
    kept = []
    for part in folders:
        if part in shared:
            kept.append(part)
        elif split := split_in(part):
            kept.append(split)
        elif not (len(alone) == 1 or names_pictures(part) or names_masks(part)):
            kept.append(part)
    return "/".join([*kept, last])


def splits_of(tree: Walk, images: Sequence[str], folders: Sequence[str] = ("", "ImageSets/Main")) -> SplitLists:
    """The split of each image: by lists (train.txt) in one of the `folders`, else by the folders of the images. An image in
    no list has none."""
    for folder in folders:
        if lists := lists_among(tree.files, folder):
            return read_lists(tree.root, lists, images, tree.lost)
    split = dict.fromkeys(images, "") | splits_of_paths(images)
    return SplitLists(split, frozenset(), (), (), frozenset(split.values()) - {""})


def unpaired(name: str, contested: Sequence[str], what: str) -> Problem:
    """The problem of an image without a file of annotations of its own; `what` names such a file."""
    if contested:
        some = ", ".join(printable(other) for other in contested[:4])
        reason, fix = f"ambiguous: one name for {some}", f"give each image and its {what} one name"
    else:
        reason = f"no-annotation: {printable(name)} has no {what}"
        fix = f"annotate the image (with {what} without objects if it shows none), or remove it"
    return Problem(printable(name), None, reason, fix)
