"""Recognition of the annotated layouts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sightline.data.files.walking import Walk
from sightline.data.formats.recognition.boxes import find_boxes
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.storage.text import printable

from .coco import coco_files, read_coco
from .pixelfolders import read_pixel_folder
from .tools.boxtables import read_box_tables
from .tools.cvat import read_cvat
from .tools.hub import hub_tables, read_hub
from .tools.labelme import read_labelme
from .tools.via import read_via
from .tools.yolo import read_yolo
from .voc import is_voc, read_voc, read_voc_anywhere

_READERS: dict[str, Callable[[Walk], Source]] = {
    "yolo": read_yolo,
    "labelme": read_labelme,
    "via": read_via,
    "cvat": read_cvat,
    "voc": read_voc_anywhere,
    "table": read_box_tables,
}


def read_annotated(root: Path, tree: Walk) -> Source | None:
    """The data set in `root` if it has boxes or masks in a known layout; else None."""
    if is_voc(tree):
        return read_voc(tree)
    if pages := coco_files(tree):
        return read_coco(tree, pages)
    return read_pixel_folder(root, tree)


def read_marked(root: Path, tree: Walk) -> Source | None:
    """The data set in `root` if a tool has written boxes or outlines beside its images; else None. Raises DataError if it holds
    boxes in a form that is not read."""
    if tables := hub_tables(tree):
        return read_hub(tree, tables)
    found = find_boxes(Path(tree.root), tree.files)
    if found is None:
        return None
    if found.tool:
        return _READERS[found.tool](tree)
    raise DataError(f"{printable(str(root))} looks like {found.what}: {found.evidence}", found.fix)
