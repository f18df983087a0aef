"""Which annotated layout a folder holds."""

from __future__ import annotations

from pathlib import Path

from sightline.data.files.walking import Walk
from sightline.data.records.source import Source

from .coco import coco_pages, read_coco
from .pixelfolders import read_pixel_folder
from .voc import is_voc, read_voc


def read_annotated(root: Path, found: Walk) -> Source | None:
    """The data set in `root` where it holds annotations for boxes or masks in a known layout; else None."""
    if is_voc(found):
        return read_voc(found)
    if pages := coco_pages(found):
        return read_coco(found, pages)
    return read_pixel_folder(root, found)
