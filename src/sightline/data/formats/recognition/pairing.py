"""Images beside their masks, whatever the folders are called: two folders that differ in one part of their path and whose
files have the same names, but for words such as mask.

The names of the folders decide where they are plain (images and labels, train and trainannot). Else the names of the files
must pair up and the pictures must look like masks: `with_mask` and `without_mask` are classes, and so are `a` and `b` with
photographs numbered alike.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sightline.data.records.names import IMAGE_SUFFIXES, suffix

from .likeness import are_masks_of
from .vocabulary import MASKS, bare, mentions_masks, names_masks, names_pictures, split_in, splits_among, without_split

PAIRED = 0.5  # of the masks, where the folders' names already say what they are
ALIKE = 0.9  # of both, where only the files' names do
_MASK_WORD = re.compile("|".join(sorted(MASKS, key=len)), re.IGNORECASE)  # a quick look before the exact one
_IMAGES = tuple(IMAGE_SUFFIXES)
FEWEST = 3  # pairs from which files that are named alike mean something


@dataclass(frozen=True)
class MaskPairs:
    """A folder of `pictures` and the one of their `masks`, both relative; `pairs` of files; `plain`: their names say so."""

    pictures: str
    masks: str
    pairs: tuple[tuple[str, str], ...]
    plain: bool
    place: int  # of the part in which the two paths differ


def stem(name: str) -> str:
    """The file's name without folder and suffix, in NFC."""
    return unicodedata.normalize("NFC", os.path.splitext(name.rsplit("/", 1)[-1])[0])


def find_masks(root: Path, folders: Mapping[str, Sequence[str]], *, plain_only: bool = False) -> list[MaskPairs]:
    """Of the `folders` of images, those that have a folder of masks beside them or in a parallel tree; `plain_only`: by their
    names, without a look into any file."""
    beside: dict[tuple[int, tuple[str, ...]], list[str]] = defaultdict(list)
    for folder in folders:
        parts = folder.split("/") if folder else []
        for place in range(len(parts)):
            beside[place, (*parts[:place], *parts[place + 1 :])].append(folder)
    found: dict[tuple[str, str], MaskPairs] = {}
    for (place, _), same in sorted(beside.items()):
        for pictures, masks in _candidates(place, sorted(same)):
            if pair := _pair(root, pictures, masks, place, folders, plain_only):
                found.setdefault((pictures, masks), pair)
    return list(found.values()) or ([] if plain_only else _trees(root, folders))


def images_by_folder(files: Iterable[str]) -> dict[str, list[str]]:
    """Folder → the files in it that are images by their suffix."""
    folders: dict[str, list[str]] = defaultdict(list)
    for name in files:
        if name.lower().endswith(_IMAGES):
            folders[name.rpartition("/")[0]].append(name)
    return folders


def masks_in_one_folder(root: Path, folders: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """(image, mask) of files in one folder: x.jpg beside x_mask.png, or beside x.png that looks like its mask."""
    found: list[tuple[str, str]] = []
    for names in folders.values():
        masks = marked_as_masks(names)
        pictures = {bare(stem(n)): n for n in names if not mentions_masks(stem(n))} if masks else {}
        pairs = [(pictures[key], name) for name in masks if (key := bare(stem(name))) in pictures]
        if masks and len(pairs) >= PAIRED * len(masks) and len(pairs) >= 0.2 * len(names):
            found += pairs
        elif len({name.rpartition(".")[2] for name in names}) > 1:
            found += _twins(root, names)
    return found


def marked_as_masks(names: Iterable[str]) -> list[str]:
    """The files whose names say that they are masks, and of what."""
    return [name for name in filter(_MASK_WORD.search, names) if mentions_masks(stem(name)) and bare(stem(name))]


def _twins(root: Path, names: Sequence[str]) -> list[tuple[str, str]]:
    """x.jpg beside x.png, where most of a folder's images come in such twos and the second look like masks."""
    twins: dict[str, list[str]] = defaultdict(list)
    for name in names:
        twins[stem(name)].append(name)
    pairs = [(two[0], two[1]) for two in twins.values() if len(two) == 2]
    pairs = [(one, two) if suffix(two) == ".png" else (two, one) for one, two in pairs]
    enough = len(pairs) >= FEWEST and 2 * len(pairs) >= ALIKE * len(names)
    return pairs if enough and are_masks_of(root, pairs) else []


def _candidates(place: int, folders: Sequence[str]) -> list[tuple[str, str]]:
    """(pictures, masks) among folders that differ in one part: by their names, or the only two or three there are."""
    part = {folder: folder.split("/")[place] for folder in folders}
    masks = [f for f in folders if names_masks(part[f])]
    rest = [f for f in folders if f not in masks]
    if masks and rest and len(folders) <= 200:
        return [(p, m) for m in masks for p in rest if _fit(part[p], part[m])]
    if 2 <= len(folders) <= 3 and not splits_among(part.values()):
        return [(p, m) for p in folders for m in folders if p != m]
    return []


def _fit(pictures: str, masks: str) -> bool:
    """Whether two names belong together: of the same split, as far as they name one."""
    return split_in(pictures) == split_in(masks) or names_pictures(pictures)


def _pair(
    root: Path, pictures: str, masks: str, place: int, folders: Mapping[str, Sequence[str]], plain_only: bool
) -> MaskPairs | None:
    one, two = pictures.split("/")[place], masks.split("/")[place]
    same_split = split_in(one) is not None and split_in(one) == split_in(two) and not without_split(one)
    plain = names_masks(two) and (names_pictures(one) or same_split)
    pairs = _match(folders[pictures], folders[masks])
    if plain:
        return MaskPairs(pictures, masks, pairs, True, place) if len(pairs) >= PAIRED * len(folders[masks]) else None
    if plain_only:
        return None
    smaller, larger = sorted((len(folders[pictures]), len(folders[masks])))
    least = ALIKE * (smaller if names_masks(two) else larger)
    if len(pairs) >= max(least, FEWEST if not names_masks(two) else 1) and are_masks_of(root, pairs):
        return MaskPairs(pictures, masks, pairs, False, place)
    return None


def _match(pictures: Sequence[str], masks: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Pairs by the whole stem, else by what is left of it without the words for masks, else without what all stems of a
    folder begin and end with (f7 and f7_L)."""
    whole = {stem(name): name for name in pictures}
    cut = {bare(stem(name)): name for name in pictures if bare(stem(name))}
    found = []
    for name in masks:
        picture = whole.get(stem(name)) or cut.get(bare(stem(name)))
        if picture is not None:
            found.append((picture, name))
    if not found and min(len(pictures), len(masks)) >= FEWEST:
        cores = _cores(pictures)
        found = [(cores[core], name) for core, name in _cores(masks).items() if core in cores]
    return tuple(found)


def _cores(names: Sequence[str]) -> dict[str, str]:
    """What is left of each stem without the common beginning and end of all."""
    stems = [stem(name) for name in names]
    head = os.path.commonprefix(stems)  # noqa: RUF071 - characters, for these are no paths
    tail = os.path.commonprefix([text[len(head) :][::-1] for text in stems])  # noqa: RUF071
    return {text[len(head) : len(text) - len(tail)]: name for text, name in zip(stems, names, strict=True)}


def _trees(root: Path, folders: Mapping[str, Sequence[str]]) -> list[MaskPairs]:
    """Two or three trees side by side, however deep their files are, whose files have the same names: here/pics/7.png and
    there/truth/7.png."""
    trees: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for folder, names in folders.items():
        parts = folder.split("/") if folder else []
        for depth in range(len(parts)):
            trees["/".join(parts[:depth])]["/".join(parts[: depth + 1])] += names
    for above, below in sorted(trees.items()):
        if not 2 <= len(below) <= 3 or splits_among(tree.rsplit("/", 1)[-1] for tree in below):
            continue
        for pictures, masks in ((p, m) for p in sorted(below) for m in sorted(below) if p != m):
            pairs = _match(below[pictures], below[masks])
            larger = max(len(below[pictures]), len(below[masks]))
            if len(pairs) >= max(ALIKE * larger, FEWEST) and are_masks_of(root, pairs):
                return [MaskPairs(pictures, masks, pairs, False, above.count("/"))]
    return []
