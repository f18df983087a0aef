"""Recognition of the annotated layouts."""

from __future__ import annotations

from pathlib import Path

from sightline.data.files.walking import Walk
from sightline.data.records.source import Source

from .coco import coco_files, read_coco
from .pixelfolders import read_pixel_folder
from .voc import is_voc, read_voc


def read_annotated(root: Path, tree: Walk) -> Source | None:
    """The data set in `root` if it has boxes or masks in a known layout; else None."""
    if is_voc(tree):
        return read_voc(tree)
    if pages := coco_files(tree):
        return read_coco(tree, pages)
    return read_pixel_folder(root, tree)
