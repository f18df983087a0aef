"""One data set in the form of another program: what is known of its images decides which forms can hold it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sightline.data.dataset import Dataset, Knowledge
from sightline.errors import DataError, UsageError, nearest
from sightline.storage.text import printable
from sightline.storage.trees import new_tree, require_empty

from .coco import write_coco
from .folders import write_class_folders, write_mask_folders
from .items import Work, items_of, plain_name
from .reading_back import check
from .shards import write_parquet, write_webdataset
from .voc import write_voc
from .yolo import write_yolo


class Form(NamedTuple):
    """A form: its writer for each kind of knowledge; whether it keeps the order of the classes, and can be read again in
    full."""

    writers: dict[Knowledge, Callable[[Work], None]]
    ordered: bool = True
    read: bool = True


def _objects(writer: Callable[[Work], None]) -> dict[Knowledge, Callable[[Work], None]]:
    return {"boxes": writer, "outlines": writer}


FORMS: dict[str, Form] = {
    "coco": Form(_objects(write_coco)),
    "voc": Form(_objects(write_voc)),
    "yolo": Form(_objects(write_yolo)),
    "folder": Form({"labels": write_class_folders, "masks": write_mask_folders}, ordered=False),
    "parquet": Form({"labels": write_parquet}),
    "webdataset": Form({"labels": write_webdataset, **_objects(write_webdataset)}, read=False),
}


def require_form(to: str, out: Path, what: str) -> None:
    """UsageError for an unknown form, a folder that is not empty, or one inside of the data: before any image is read."""
    if to not in FORMS:
        raise UsageError(f"--to {printable(to)} is unknown", nearest(to, FORMS))
    require_empty(out)
    _refuse_inside(what, out)


def write_dataset(dataset: Dataset, out: Path, to: str) -> Work:
    """Write the images in use as the folder `out`, whole or not at all. UsageError if the form cannot hold them, CheckError if
    what was written would not be read again as the same data."""
    form, knows = FORMS[to], dataset.knows
    if knows not in form.writers:
        fitting = [name for name, other in FORMS.items() if knows in other.writers]
        fix = f"choose {' or '.join(fitting)}" if fitting else "no form can: keep them as they are"
        raise UsageError(f"--to {to} cannot hold {_WHAT[knows]}", fix)
    items = items_of(dataset)
    if not items or (knows == "labels" and any(item.record.label is None for item in items)):
        raise DataError(
            f"{printable(dataset.name)} has images without labels: there is nothing to convert", "label them"
        )
    with new_tree(out) as root:
        work = Work(dataset, items, root)
        if changed := sum(plain_name(item.record.name) != item.record.name for item in items):
            work.notes["image names with characters that not every form can hold, written as _"] += changed
        form.writers[knows](work)
        if form.read:
            check(work, ordered=form.ordered or knows == "masks")
    if not form.ordered and knows == "labels" and list(dataset.classes) != sorted(dataset.classes):
        work.notes["classes whose order is not kept: folders have the alphabetical one"] += len(dataset.classes)
    return work


def _refuse_inside(what: str, out: Path) -> None:
    """UsageError for an output in the folder that is read: the next reading would take it for data."""
    if os.path.isdir(what):
        inside, place = os.path.realpath(what), os.path.realpath(out)
        if place == inside or place.startswith(f"{inside.rstrip(os.sep)}{os.sep}"):
            raise UsageError(
                f"{printable(str(out))} is inside of {printable(what)}, which is read", "choose a folder beside it"
            )


_WHAT: dict[Knowledge, str] = {
    "labels": "one class for each image",
    "masks": "a class for every pixel",
    "boxes": "boxes",
    "outlines": "outlines of objects",
    "tags": "several labels for each image",
    "numbers": "a number for each image",
    "columns": "answers to several questions for each image",
}
