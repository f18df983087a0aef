"""The published trees of Cityscapes and of Pascal VOC's segmentation, and CamVid in SegNet's form, with their lists of classes.

A tree is known by the names of its folders and files together; a list of classes in the folder always comes first.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from sightline.data.files.walking import Walk
from sightline.data.formats.annotated.masks import read_mask
from sightline.data.records.names import IMAGE_SUFFIXES, suffix
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.preprocessing.decoder import MAX_BYTES
from sightline.preprocessing.reading import read_bytes
from sightline.preprocessing.rejection import Rejected
from sightline.storage.text import printable

from .assembly import MaskFiles, source_of
from .classes import LISTED, PublishedList, classes_of, of_published
from .published import CAMVID, CITYSCAPES, CITYSCAPES_VALUES, VOC, voc_palette

_STREETS = re.compile(r"leftImg8bit/(\w+)/([^/]+)/(.+)_leftImg8bit\.(?:png|jpe?g)", re.IGNORECASE)
_FINE = re.compile(r"gtFine/(\w+)/([^/]+)/(.+)_gtFine_(labelIds|labelTrainIds)\.png")
_CAMVID = re.compile(r"(?:0001TP|0006R0|0016E5|Seq05VD)_")
_VOC_NAME = re.compile(r"\d{6}|\d{4}_\d{6}")
_OBJECTS = "SegmentationClass"
_TRIED = 8


def read_cityscapes(root: Path, tree: Walk) -> Source | None:
    """leftImg8bit/SPLIT/CITY/x_leftImg8bit.png with gtFine/SPLIT/CITY/x_gtFine_labelIds.png, or labelTrainIds; None for
    another layout. Raises DataError where only other files of gtFine are there."""
    images = {name: "/".join(found.groups()) for name in tree.files if (found := _STREETS.fullmatch(name))}
    if not images or not any(name.startswith("gtFine/") for name in tree.files):
        return None
    kinds: dict[str, dict[str, str]] = {"labelTrainIds": {}, "labelIds": {}}
    for name in tree.files:
        if found := _FINE.fullmatch(name):
            kinds[found[4]][name] = "/".join(found.groups()[:3])
    kind = max(kinds, key=lambda kind: len(set(kinds[kind].values()) & set(images.values())))
    if not kinds[kind]:
        raise DataError(
            f"{printable(str(root))} holds Cityscapes' gtFine/ without its labelIds",
            "unpack gtFine_trainvaltest.zip whole: x_gtFine_labelIds.png stands beside the polygons",
        )
    by_id = kind == "labelIds"
    values = dict(CITYSCAPES) if by_id else {name: place for place, name in enumerate(CITYSCAPES)}
    ignored = tuple(v for v in range(CITYSCAPES_VALUES if by_id else 0) if v not in values.values())
    classes = of_published(PublishedList("Cityscapes", values, ignored))
    note = f"masks: the 19 classes that count in Cityscapes, by gtFine's {kind}; all other values are ignored"
    hidden = _without_truth(root, kinds[kind], set(values.values()))
    notes = (
        [f"images whose {kind} hold no class, as the published test has none, not used: {len(hidden):,}"]
        if hidden
        else []
    )
    files = MaskFiles(
        {name: key for name, key in images.items() if key not in hidden},
        {name: key for name, key in kinds[kind].items() if key not in hidden},
        notes=tuple(notes),
    )
    return source_of(tree, files, classes._replace(note=note))


def _without_truth(root: Path, masks: dict[str, str], counting: set[int]) -> set[str]:
    """The keys of the test split if its masks hold no class: the published ones are a stand-in."""
    test = {name: key for name, key in masks.items() if key.startswith("test/")}
    for name in list(test)[:: max(len(test) // _TRIED, 1)]:
        with suppress(Rejected):
            if counting & set(np.unique(read_mask(root / name)).tolist()):
                return set()
    return set(test.values())


def has_voc_masks(tree: Walk) -> bool:
    """Whether the folder has JPEGImages/ and masks in SegmentationClass/."""
    return bool(_voc_masks(tree)) and any(name.startswith("JPEGImages/") for name in tree.files)


def is_voc_masks(path: Path) -> bool:
    """Whether it is the folder of masks in such a tree, which is given where the tree also has boxes."""
    path = Path(os.path.abspath(path))
    return path.name.startswith(_OBJECTS) and os.path.isdir(path.parent / "JPEGImages")


def read_voc_masks(root: Path, tree: Walk) -> Source:
    """JPEGImages/, SegmentationClass/ and ImageSets/Segmentation/ (Everingham et al. 2010)."""
    images = {n: _stem(n) for n in tree.files if n.startswith("JPEGImages/") and suffix(n) in IMAGE_SUFFIXES}
    masks = {name: _stem(name) for name in _voc_masks(tree)}
    listed = "class_names.txt" if "class_names.txt" in tree.files and LISTED not in tree.files else LISTED
    published = (
        PublishedList("Pascal VOC", {name: value for value, name in enumerate(VOC)})
        if _is_voc(root, list(masks))
        else None
    )
    classes = classes_of(root, tree.files, sorted(masks), published=published, listed=listed)
    has_lists = any(name.startswith("ImageSets/Segmentation/") for name in tree.files)
    if not has_lists:  # most images of VOC have boxes only
        images = {name: key for name, key in images.items() if key in masks.values()}
    return source_of(tree, MaskFiles(images, masks, ("ImageSets/Segmentation", "")), classes)


def _voc_masks(tree: Walk) -> list[str]:
    """The masks: in SegmentationClass/, else in the one folder whose name begins so (SegmentationClassPNG/)."""
    folders: dict[str, list[str]] = {}
    for name in tree.files:
        folder = name.split("/", 1)[0]
        if folder.startswith(_OBJECTS) and name.count("/") == 1 and suffix(name) == ".png":
            folders.setdefault(folder, []).append(name)
    if len(folders) > 1 and _OBJECTS not in folders:
        folders.pop(f"{_OBJECTS}Visualization", None)
    return folders.get(_OBJECTS) or (next(iter(folders.values())) if len(folders) == 1 else [])


def _is_voc(root: Path, masks: Sequence[str]) -> bool:
    """Whether the masks have VOC's palette, or the names of VOC's images."""
    if all(_VOC_NAME.fullmatch(_stem(name)) for name in masks):
        return True
    for name in masks[:_TRIED]:
        try:
            with Image.open(io.BytesIO(read_bytes(root / name, MAX_BYTES)), formats=("PNG",)) as image:
                palette = image.getpalette() if image.mode == "P" else None
        except (Rejected, OSError, ValueError, SyntaxError):
            continue
        stored = np.array(palette or [], np.uint8)[: 3 * len(VOC)].reshape(-1, 3)
        return len(stored) > 1 and bool((stored == voc_palette(len(stored))).all())
    return False


def published_list(tree: Walk, images: Sequence[str], folders: set[str]) -> PublishedList | None:
    """The list of classes of a tree with train/ and trainannot/: SegNet's CamVid, if its images are named as CamVid's."""
    if not folders <= {"trainannot", "valannot", "testannot"}:
        return None
    known = sum(bool(_CAMVID.match(_stem(name))) for name in images)
    if known < len(images) / 2 and os.path.basename(tree.root).casefold() != "camvid":
        return None
    return PublishedList("CamVid in SegNet's form", {name: value for value, name in enumerate(CAMVID)}, (len(CAMVID),))


def _stem(name: str) -> str:
    return os.path.splitext(name.rsplit("/", 1)[-1])[0]
