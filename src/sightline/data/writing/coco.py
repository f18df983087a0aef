"""COCO's JSON (Lin et al. 2014): annotations/instances_<split>.json and images/<split>/."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from sightline.data.records.annotations import Objects
from sightline.data.records.outlines import Block, Outline, Rings, Runs

from .areas import areas_in
from .items import Item, Work

_OUTLINE = "segmentation"  # COCO's key


def write_coco(work: Work) -> None:
    """Ignored objects become crowds. Numbers are written as they are."""
    categories = [{"id": i, "name": name} for i, name in enumerate(work.dataset.classes, 1)]
    for split in work.splits:
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, item in enumerate(work.of(split), 1):
            work.copy(item, item.below("images"))
            stored = work.stored(item)
            images.append({"id": number, "file_name": item.name, "width": stored.width, "height": stored.height})
            for row in rows_of(work, item):
                annotations.append({"id": len(annotations) + 1, "image_id": number, **row})
        name = f"annotations/instances_{split}.json" if split else "annotations/instances.json"
        page = {"images": images, "annotations": annotations, "categories": categories}
        work.write(name, json.dumps(page, ensure_ascii=True, allow_nan=False))


def rows_of(work: Work, item: Item) -> list[dict[str, Any]]:
    """The objects of an image as COCO's annotations, without ids, in the pixels of its file."""
    truth = work.dataset.truth(item.id)
    assert isinstance(truth, Objects)
    areas = areas_in(truth, work.stored(item), upright=False)
    rows = []
    for place, (left, top, right, bottom) in enumerate(areas.boxes.tolist()):
        outline = areas.outline[place] if areas.outline else None
        size = (right - left) * (bottom - top)
        if outline is not None:
            size = float(outline.mask(areas.height, areas.width).sum())
        ignored = bool(truth.ignore[place])
        if ignored:
            work.notes["objects to ignore, written as crowds"] += 1
        rows.append({
            "category_id": int(truth.label[place]) + 1, "bbox": [left, top, right - left, bottom - top], "area": size,
            "iscrowd": int(ignored), _OUTLINE: [] if outline is None else _written(outline),
        })  # fmt: skip
    return rows


def _written(outline: Outline) -> Any:
    """Polygons, or run lengths as numbers."""
    if isinstance(outline, Rings):
        return [ring.reshape(-1).tolist() for ring in outline.rings]
    if isinstance(outline, Runs):
        return {"size": [outline.height, outline.width], "counts": outline.counts.tolist()}
    assert isinstance(outline, Block)
    left, top, right, bottom = outline.corners.tolist()
    return [np.array([left, top, right, top, right, bottom, left, bottom]).tolist()]
