"""YOLO's text labels: images/<split>/, labels/<split>/ and data.yaml."""

from __future__ import annotations

import json

from sightline.data.formats.annotated.units import Box
from sightline.data.records.annotations import Objects

from .areas import areas_in, one_ring
from .items import Item, Work, require_plain


def write_yolo(work: Work) -> None:
    """Ignored objects are left out, since YOLO's rows have no flag: they count as background then. Several rings and holes
    become one line."""
    require_plain(work.dataset.classes, "YOLO")
    for item in work.items:
        work.copy(item, item.below("images"))
        rows = _rows(work, item)
        work.write(f"{item.below('labels')[: -len(item.name)]}{item.stem}.txt", "".join(f"{row}\n" for row in rows))
    missing = len({"train", "val"} - set(work.splits))
    if missing:
        work.notes["splits missing in data.yaml: YOLO's programs need train and val"] += missing
    lines = ["path: .", *(f"{split}: images/{split}" for split in work.splits if split)]
    lines += [
        f"nc: {len(work.dataset.classes)}",
        "names:",
        *(f"  {i}: {json.dumps(name)}" for i, name in enumerate(work.dataset.classes)),
    ]
    work.write("data.yaml", "\n".join([*lines, ""]))


def _rows(work: Work, item: Item) -> list[str]:
    """A row for each object: class, then centre and sides, or the corners, as shares of the upright image."""
    truth = work.dataset.truth(item.id)
    assert isinstance(truth, Objects)
    areas = areas_in(truth, work.stored(item), upright=True)
    rows: list[str] = []
    kept: list[tuple[int, Box]] = []
    for place, (left, top, right, bottom) in enumerate(areas.boxes.tolist()):
        if truth.ignore[place]:
            work.notes["objects to ignore, left out: YOLO takes their places for background"] += 1
            continue
        numbers = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
        if areas.outline:
            found = one_ring(areas.outline[place], areas.height, areas.width)
            if found is None:
                work.notes["objects without a pixel, left out"] += 1
                continue
            ring, same = found
            if not same:
                work.notes["objects whose outline changes, since it is no single ring"] += 1
            numbers = ring.reshape(-1).tolist()
            (x1, y1), (x2, y2) = ring.min(axis=0).tolist(), ring.max(axis=0).tolist()
            if max(abs(x1 - left), abs(y1 - top), abs(x2 - right), abs(y2 - bottom)) > 0.5:
                work.notes["objects whose box is not around their outline, which alone is kept"] += 1
            left, top, right, bottom = x1, y1, x2, y2
        kept.append((int(truth.label[place]), (left, top, right, bottom)))
        shares = (value / (areas.height if i % 2 else areas.width) for i, value in enumerate(numbers))
        rows.append(" ".join([str(int(truth.label[place])), *(f"{share:.10g}" for share in shares)]))
    work.kept[item.id] = kept
    return rows
