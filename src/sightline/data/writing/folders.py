"""Folders of images: one a class, or images/ and masks/ with classes.txt."""

from __future__ import annotations

import numpy as np
from PIL import Image

from sightline.data.files.matching import folded
from sightline.data.records.names import is_litter, split_named
from sightline.errors import UsageError
from sightline.preprocessing.pixels import orient

from .areas import BACK
from .items import Item, Work, require_plain

_RESERVED = {".", ".."}


def write_class_folders(work: Work) -> None:
    """<split>/<class>/<name>; the classes are then in alphabetical order."""
    for name in work.dataset.classes:
        _require_folder(name)
    places = [_place(item, short=True) for item in work.items]
    if len({folded(place) for place in places}) < len(places):
        places = [_place(item, short=False) for item in work.items]
    for item, place in zip(work.items, places, strict=True):
        work.copy(item, place)


def _place(item: Item, *, short: bool) -> str:
    """`short`: a class's folder is not repeated inside it."""
    label = str(item.record.label)
    name = item.name.removeprefix(f"{label}/") if short else item.name
    return "/".join(part for part in (item.split, label, name) if part)


def _require_folder(name: str) -> None:
    """UsageError for a class whose name is no folder's, or that would be read as something else."""
    bad = set(name) & set('/\\:*?"<>|') or name in _RESERVED or not name.isprintable() or name != name.strip(" .")
    if bad or is_litter(name) or split_named(name) or len(name.encode()) > 200:
        raise UsageError(f"the class {name!r} cannot be a folder", "rename it, or write --to parquet")


def write_mask_folders(work: Work) -> None:
    """images/<split>/<name>, masks/<split>/<name>.png of class indexes as the image is stored, 255 ignored, and classes.txt."""
    require_plain(work.dataset.classes, "a list of classes")
    for item in work.items:
        work.copy(item, item.below("images"))
        path = work.root / f"{item.below('masks')[: -len(item.name)]}{item.stem}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(_stored_mask(work, item)).save(path, "PNG")
    names = list(work.dataset.classes)
    if len(names) == 2:
        names.append("void")  # two names alone would make 255 the second class where no mask holds 1
    work.write("classes.txt", "".join(f"{name}\n" for name in names))


def _stored_mask(work: Work, item: Item) -> np.ndarray:
    mask = work.dataset.truth(item.id)
    assert isinstance(mask, np.ndarray)
    turn = work.stored(item).orientation
    return np.ascontiguousarray(orient(mask[..., None], BACK.get(turn, turn))[..., 0]) if turn > 1 else mask
