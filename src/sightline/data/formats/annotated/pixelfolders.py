"""Finds the images and their masks in a folder. `pixels` has the lists of classes and the published trees."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from sightline.data.files.matching import bare_stem
from sightline.data.files.walking import Walk
from sightline.data.formats.pixels.assembly import MaskFiles, source_of
from sightline.data.formats.pixels.classes import classes_of
from sightline.data.formats.pixels.colours import find_colours
from sightline.data.formats.pixels.stacks import read_stacks
from sightline.data.formats.pixels.trees import has_voc_masks, published_list, read_cityscapes, read_voc_masks
from sightline.data.formats.recognition.pairing import MaskPairs, find_masks, images_by_folder, marked_as_masks, stem
from sightline.data.formats.recognition.vocabulary import bare, names_masks, names_pictures, split_in
from sightline.data.records.names import IMAGE_SUFFIXES, split_named, suffix
from sightline.data.records.source import Source

PICTURES = {"images", "jpegimages", "img", "imgs"}
MASKS = {"masks", "mask"}
LOSSLESS = {".png", ".gif", ".bmp", ".tif", ".tiff"}  # that a mask may have; a lossy TIFF is refused when it is read


def read_pixel_folder(root: Path, tree: Walk) -> Source | None:
    """The data set of images and masks in `root`; None if there is none. Raises DataError if the list of classes is needed
    and missing, or cannot be read."""
    if streets := read_cityscapes(root, tree):
        return streets
    if has_voc_masks(tree):
        return read_voc_masks(root, tree)
    finders: tuple[Callable[[Path, Walk], MaskFiles | None], ...] = (_pictures_and_masks, _by_colours, _in_one_folder)
    files = next((found for find in finders if (found := find(root, tree))), None)
    if stacks := read_stacks(root, tree, files):
        return stacks
    if files is None:
        return None
    folders = {part for name in files.masks for part in name.split("/")[:-1]}
    published = published_list(tree, list(files.images), folders)
    return source_of(tree, files, classes_of(root, tree.files, sorted(files.masks), published=published))


def _pictures_and_masks(root: Path, tree: Walk) -> MaskFiles | None:
    """Images in images/ and masks in masks/, or in folders of other names that say the same (train/ and trainannot/). None
    where several folders could hold the masks of one, or where they hold no PNG: neither is guessed."""
    if not any(names_masks(part) for folder in tree.folders for part in folder.split("/")):
        return None
    masks: dict[str, str] = {}
    images: dict[str, str] = {}
    if any(part.casefold() in MASKS for folder in tree.folders for part in folder.split("/")):
        masks = {name: _key(name, MASKS) for name in tree.files if suffix(name) in LOSSLESS and _key(name, MASKS)}
    if masks:
        images = {n: _key(n, PICTURES) for n in tree.files if suffix(n) in IMAGE_SUFFIXES and _key(n, PICTURES)}
    found = [
        pairs
        for pairs in find_masks(Path(tree.root), images_by_folder(tree.files), plain_only=True)
        if _is_whole(pairs)
    ]
    if len({pairs.pictures for pairs in found}) < len(found):
        return None
    return MaskFiles(images, masks) if masks and images else _of_pairs(tree, found)


def _by_colours(root: Path, tree: Walk) -> MaskFiles | None:
    """Two folders of other names whose files pair up, beside a table of colours: CamVid's 701_StillsRaw_full/ and
    LabeledApproved_full/."""
    if find_colours(root, tree.files) is None:
        return None
    found = [pairs for pairs in find_masks(Path(tree.root), images_by_folder(tree.files)) if _is_whole(pairs)]
    return _of_pairs(tree, found) if len({pairs.pictures for pairs in found}) == len(found) else None


def _of_pairs(tree: Walk, found: Sequence[MaskPairs]) -> MaskFiles | None:
    """All files in folders of pictures and of masks, paired by the names that the pairs of each two folders show."""
    pictures, folder = {pairs.pictures for pairs in found}, {pairs.masks: pairs.pictures for pairs in found}
    inside = [name for name in tree.files if name.rpartition("/")[0] in folder and suffix(name) in IMAGE_SUFFIXES]
    if not inside or not all(suffix(name) in LOSSLESS for name in inside):
        return None
    images = {n: _plain(n) for n in tree.files if n.rpartition("/")[0] in pictures and suffix(n) in IMAGE_SUFFIXES}
    masks = {n: f"{folder[n.rpartition('/')[0]]}/{stem(n)}" for n in inside}
    masks |= {mask: _plain(image) for pairs in found for image, mask in pairs.pairs}
    return MaskFiles(images, masks) if images else None


def _plain(name: str) -> str:
    return os.path.splitext(name)[0]


def _in_one_folder(root: Path, tree: Walk) -> MaskFiles | None:
    """x.jpg beside x_mask.png. None where the folders could be classes as well, and where a mask could be JPEG."""
    images: dict[str, str] = {}
    masks: dict[str, str] = {}
    others: set[str] = set()
    for folder, names in images_by_folder(tree.files).items():
        marked = marked_as_masks(names)
        cores = {_core(name) for name in marked}
        pictures = sorted({*names} - {*marked}) if marked else []
        paired = [name for name in pictures if _core(name) in cores]
        if not marked or 2 * len(paired) < len(marked) or 5 * len(paired) < len(names):
            others.add(folder)
            continue
        images |= {name: _plain(name) for name in pictures}
        masks |= {name: _plain(name) for name in marked}
    folders = {name.rpartition("/")[0] for name in masks}
    if others or not masks or not all(suffix(name) in LOSSLESS for name in masks):
        return None
    parts = [part for folder in folders for part in folder.split("/") if part]
    one = len(folders) == 1 or all(split_in(part) or names_pictures(part) for part in parts)
    return MaskFiles(images, masks) if one else None


def _core(name: str) -> str:
    """What 7.jpg, 7_sat.jpg and 7_mask.png share."""
    return bare(bare_stem(stem(name)))


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
