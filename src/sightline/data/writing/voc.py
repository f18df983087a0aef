"""Pascal VOC's layout (Everingham et al. 2010): JPEGImages/, Annotations/, ImageSets/Main/, and labelmap.txt with the classes.

Corners are whole pixels, counted from 1, the last included. An object of less than two pixels in width or height keeps its
fraction: corners that coincide are read as a mistake.
"""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

from sightline.data.records.annotations import Objects

from .areas import areas_in
from .items import Item, Work, require_plain

_TAGS = ("xmin", "ymin", "xmax", "ymax")
_THIN = 0.0005  # of a pixel: half the distance of the corners of what is at most a pixel wide


def write_voc(work: Work) -> None:
    """Ignored objects become difficult ones; outlines are not kept."""
    require_plain(work.dataset.classes, "VOC")
    for item in work.items:
        work.copy(item, f"JPEGImages/{item.name}")
        work.write(f"Annotations/{item.stem}.xml", _page(work, item))
    for split in work.splits:
        if split:
            names = "".join(f"{item.stem}\n" for item in work.of(split))
            work.write(f"ImageSets/Main/{split}.txt", names)
    lines = "".join(f"{name}:::\n" for name in work.dataset.classes)
    work.write("labelmap.txt", f"# label:color_rgb:parts:actions\n{lines}")


def _page(work: Work, item: Item) -> str:
    truth = work.dataset.truth(item.id)
    assert isinstance(truth, Objects)
    if truth.outline:
        work.notes["outlines that VOC's boxes do not keep"] += len(truth)
    areas = areas_in(truth, work.stored(item), upright=False)
    folder, _, last = f"JPEGImages/{item.name}".rpartition("/")
    lines = [
        "<annotation>",
        f"  <folder>{escape(folder)}</folder>",
        f"  <filename>{escape(last)}</filename>",
        f"  <size><width>{areas.width}</width><height>{areas.height}</height><depth>3</depth></size>",
    ]
    for place, box in enumerate(areas.boxes.tolist()):
        ignored = bool(truth.ignore[place])
        if ignored:
            work.notes["objects to ignore, written as difficult"] += 1
        name = escape(work.dataset.classes[int(truth.label[place])])
        x, y = _corners(box[0], box[2]), _corners(box[1], box[3])
        corners = "".join(f"<{tag}>{value}</{tag}>" for tag, value in zip(_TAGS, (x[0], y[0], x[1], y[1]), strict=True))
        lines += [
            "  <object>",
            f"    <name>{name}</name><difficult>{int(ignored)}</difficult>",
            f"    <bndbox>{corners}</bndbox>",
            "  </object>",
        ]
    return "\n".join([*lines, "</annotation>", ""])


def _corners(low: float, high: float) -> tuple[str, str]:
    """The first and the last pixel between two edges; edges move by at most half a pixel.

    (2, 9) are the pixels 3 to 9. (2, 3.5) is written as 3 to 3.5, (2, 3) as 2.9995 to 3.0005.
    """
    if high - low >= 2:
        return str(math.floor(low + 0.5) + 1), str(math.floor(high + 0.5))
    first, last, centre = low + 1, high, (low + 1 + high) / 2
    if last - first < 2 * _THIN:
        first, last = centre - _THIN, centre + _THIN
    return f"{first:.10g}", f"{last:.10g}"
