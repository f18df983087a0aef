"""The one place that refuses a folder whose layout is known but not read, with what it looks like, why, and what to do.

An unknown layout is never a classifier in silence: whatever holds annotations beside its images is refused by name, before
folders count as classes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from sightline.data.files.walking import Walk
from sightline.data.records.names import IMAGE_SUFFIXES, suffix
from sightline.errors import DataError
from sightline.storage.text import printable

from .pairing import MaskPairs, find_masks, images_by_folder, masks_in_one_folder
from .vocabulary import names_masks, names_pictures, split_in, splits_among

_TABLE = "to train on these folders as classes, write a table with path,label"
_LAYOUT = "use images/ beside masks/ with one PNG of class indexes for each image"


def refuse_unread(root: Path, tree: Walk) -> None:
    """Raise DataError if the folder holds annotations in a layout that is not read."""
    name = printable(str(root))
    folders = images_by_folder(tree.files)
    if found := find_masks(Path(tree.root), folders):
        _refuse_masks(name, found)
    if inside := masks_in_one_folder(Path(tree.root), folders):
        one, mask = inside[0]
        raise DataError(
            f"{name} looks like images with their masks in one folder: {len(inside):,} pairs, such as {printable(one)} and "
            f"{printable(mask)}",
            _LAYOUT,
        )
    _refuse_named(name, tree)
    _refuse_splits_in_names(name, tree)


def _refuse_masks(name: str, found: Sequence[MaskPairs]) -> None:
    first = found[0]
    total = sum(len(pairs.pairs) for pairs in found)
    image, mask = first.pairs[0] if first.pairs else (first.pictures, first.masks)
    seen = (
        f"{printable(first.pictures)}/ beside {printable(first.masks)}/, {total:,} pairs such as {printable(image)} and "
        f"{printable(mask)}"
    )
    if several := sorted({pairs.masks for pairs in found if pairs.pictures == first.pictures} - {first.masks}):
        seen += f"; {', '.join(f'{printable(other)}/' for other in several)} could hold the masks as well"
    kinds = {suffix(mask) for pairs in found for _, mask in pairs.pairs}
    if kinds & {".jpg", ".jpeg"}:
        seen += "; masks must be PNG: JPEG invents values between those of the classes"
        fix = "export the masks again as PNG; values that JPEG has changed cannot be had back"
    elif kinds - {".png"}:
        fix = f"convert the masks from {', '.join(sorted(kinds - {'.png'}))} to PNG, and {_LAYOUT}"
    else:
        fix = _LAYOUT
    if not first.plain:
        fix = f"{fix}; {_TABLE}"
    raise DataError(f"{name} looks like images with masks: {seen}", fix)


def _refuse_named(name: str, tree: Walk) -> None:
    """Folders side by side that are called images and annotations, even if no file of the one matches one of the other."""
    children: dict[str, set[str]] = defaultdict(set)
    for path in tree.folders:
        folder, _, child = path.rpartition("/")
        children[folder].add(child)
    for folder, names in sorted(children.items()):
        if not all(split_in(part) or names_pictures(part) for part in folder.split("/") if part):
            continue
        pictures = sorted(child for child in names if names_pictures(child))
        masks = sorted(child for child in names if names_masks(child))
        if pictures and masks and not set(pictures) & set(masks) and len(splits_among(names)) < len(names):
            there = ", ".join(printable(f"{folder}/{n}/" if folder else f"{n}/") for n in (*pictures, *masks))
            raise DataError(
                f"{name} holds {there}: annotations for boxes or masks, not one folder per class",
                "use images/ with masks/ of PNG files, COCO's JSON, or VOC's JPEGImages/ with Annotations/ of XML files",
            )


def _refuse_splits_in_names(name: str, tree: Walk) -> None:
    """train_cat/, train_dog/, test_cat/, test_dog/: each folder's name is a split and something else."""
    tops = {file.split("/", 1)[0] for file in tree.files if "/" in file and suffix(file) in IMAGE_SUFFIXES}
    splits = {split_in(top) for top in tops}
    if len(tops) < 3 or None in splits or len(splits) < 2 or len(splits_among(tops)) == len(tops):
        return
    raise DataError(
        f"{name} has splits in the names of its folders: {_some(tops)}",
        "make a folder for each split, with a folder for each class in it: train/cat/, test/cat/",
    )


def _some(names: Iterable[str]) -> str:
    shown = sorted(printable(name) for name in names)
    return ", ".join(f"{name}/" for name in shown[:6]) + (" …" if len(shown) > 6 else "")
