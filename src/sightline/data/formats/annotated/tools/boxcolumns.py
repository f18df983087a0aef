"""Which columns of a table of boxes are the image, the four numbers, the class, the split and the size of the image.

Corners (xmin, ymin, xmax, ymax), corner and sides (x, y, width, height), centre and sides (x_center, …), or all four in one
cell; without a header path,x1,y1,x2,y2,class, as RetinaNet's programs have it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sightline.data.files.values import number
from sightline.data.formats.recognition.boxes import BOX_CELLS, CORNERS
from sightline.data.records.names import IMAGE_SUFFIXES, suffix

Form = Literal["corners", "sides", "centre", "cell"]
_PATHS = (
    "path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "image_name", "image_file", "img",
    "img_path", "img_name", "image_id", "imageid", "frame", "id",
)  # fmt: skip
_CLASSES = (
    "class", "label", "class_name", "classname", "label_name", "labelname", "category", "category_name", "name", "object",
    "species", "type", "class_id", "classid", "category_id", "label_id", "target",
)  # fmt: skip
_SPLITS = ("split", "set", "subset", "partition", "usage")
_FLAGS = ("difficult", "ignore", "iscrowd", "is_crowd", "isgroupof", "is_group_of", "crowd")
_ORDERS: dict[str, tuple[str, ...]] = {
    "corners": (
        "xmin ymin xmax ymax", "x_min y_min x_max y_max", "x1 y1 x2 y2", "x0 y0 x1 y1", "left top right bottom",
        "roi.x1 roi.y1 roi.x2 roi.y2", "xtl ytl xbr ybr",
    ),
    "centre": ("x_center y_center width height", "cx cy w h"),
    "sides": (
        "x y w h", "x y width height", "left top width height", "bbox_x bbox_y bbox_width bbox_height",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class BoxColumns:
    """Indices of the columns: `box` of the four numbers (one of a cell of four); None for those that are absent. `unused` are
    the names of the others."""

    form: Form
    path: int
    box: tuple[int, ...]
    label: int | None
    split: int | None
    size: tuple[int, int] | None  # of height and width of the image
    flags: tuple[tuple[str, int], ...]
    header: bool
    unused: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """The number of cells that a row needs."""
        return 1 + max(self.path, *self.box, self.label or 0)


def find_box_columns(first: Sequence[str]) -> BoxColumns | None:
    """The columns of a table whose first row is `first`; None if it is no table of boxes that can be read."""
    if suffix(first[0].strip()) in IMAGE_SUFFIXES if first else False:
        numbers = [cell.strip() for cell in first[1:5]]
        plain = len(first) == 6 and (not any(numbers) or all(number(cell) == number(cell) for cell in numbers))
        return BoxColumns("corners", 0, (1, 2, 3, 4), 5, None, None, (), header=False) if plain else None
    words = [cell.strip().casefold().replace(" ", "_").replace("-", "_") for cell in first]
    form, box = _form(words)
    path = _find(words, _PATHS, set(box))
    if form is None or path is None:
        return None
    taken = {*box, path}
    label = _find(words, _CLASSES, taken)
    split = _find(words, _SPLITS, taken)
    size = None
    sides = [words.index(w) if w in words else None for w in ("height", "width")]
    if sides[0] is not None and sides[1] is not None and not {sides[0], sides[1]} & taken:
        size = (sides[0], sides[1])
    flags = tuple((word, i) for i, word in enumerate(words) if word in _FLAGS)
    known = {*taken, *(i for i in (label, split) if i is not None), *(size or ()), *(i for _, i in flags)}
    unused = tuple(cell.strip() for i, cell in enumerate(first) if i not in known and cell.strip())
    return BoxColumns(form, path, box, label, split, size, flags, True, unused)


def _form(words: Sequence[str]) -> tuple[Form | None, tuple[int, ...]]:
    for names in CORNERS:
        if not names <= set(words):
            continue
        for form, orders in _ORDERS.items():
            for order in orders:
                if set(order.split()) == names:
                    return form, tuple(words.index(word) for word in order.split())  # type: ignore[return-value]
    cell = next((word for word in BOX_CELLS if word in words), None)
    return ("cell", (words.index(cell),)) if cell else (None, ())


def _find(words: Sequence[str], known: Sequence[str], taken: set[int]) -> int | None:
    return next((i for word in known if word in words and (i := words.index(word)) not in taken), None)


def four_numbers(cell: str) -> list[str]:
    """The numbers of a cell such as "[834.0, 222.0, 56.0, 36.0]" or "834 222 56 36"; [] for an empty list."""
    text = cell.strip()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, list):
        return [str(each) if not isinstance(each, str) else each for each in value]
    return text.strip("[](){} ").replace(",", " ").replace(";", " ").split()
