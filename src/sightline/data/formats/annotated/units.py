"""Whether the numbers of an annotation file are pixels, corners and sides at all: told by all of them together.

One odd box is a mistake. A file whose boxes all lie between 0 and 1 has shares of the image; one whose boxes leave their
images as corner and sides, and all fit as two corners, has two corners. Such a file is refused, since training on it would
be silent nonsense.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from sightline.errors import DataError

Box = tuple[float, float, float, float]
SLACK = 0.05  # shares are rounded
LEAST, SHARE = 4, 0.1  # so many boxes, of which such a share is wrong, speak for another form
EXTENT, MANY = 0.6, 30  # a set of many boxes that use less than this share of their images
LEAVING = "boxes leave these images, as they do in much of the set: perhaps they count the pixels of another copy"
SMALL = "no box of the set reaches beyond 60 % of its image in width or height: perhaps they count a smaller copy"


def is_share(values: Sequence[float]) -> bool:
    """Whether the numbers look like shares of the image: none of them beyond 0 to 1, and not all of them whole."""
    return all(-SLACK <= v <= 1 + SLACK for v in values) and not all(float(v).is_integer() for v in values)


def refuse_shares(file: str, what: str, rows: Sequence[Sequence[float]]) -> None:
    """DataError if all the boxes (or outlines) look like shares. Rows with numbers that are none do not count."""
    finite = [row for row in rows if len(row) and all(map(math.isfinite, row))]
    if any(is_share(row) for row in finite) and all(max(row) <= 1 + SLACK and min(row) >= -SLACK for row in finite):
        raise DataError(
            f"{file}: all {len(finite):,} {what} lie between 0 and 1: shares of the image, where pixels are needed",
            "multiply x and width by the width of the image, y and height by its height",
        )


def refuse_corners(name: str, boxes: Float[np.ndarray, "n 4"], size: Float[np.ndarray, "n 2"]) -> None:
    """DataError if boxes that were written as corner and sides are two corners. `boxes` are xyxy as read, `size` the
    (height, width) of the image of each.

    [40, 30, 64, 50] in an image 80 wide ends at 104 as corner and sides, and at 64 as two corners.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    wide = size[:, ::-1] + 1  # (n, 2) as x, y, and a pixel more
    out = _leaving(boxes, size)
    fits = (sides > boxes[:, :2]).all(1) & (sides <= wide).all(1)
    if len(boxes) >= LEAST and out.sum() >= max(2, SHARE * len(boxes)) and fits.all():
        raise DataError(
            f"{name}: {out.sum():,} of {len(boxes):,} boxes leave their images as [x, y, width, height], and all fit as "
            "[left, top, right, bottom]",
            "write [x, y, width, height]",
        )


def refuse_sides(name: str, corners: Sequence[Box], sizes: Sequence[tuple[int, int] | None]) -> None:
    """DataError if boxes that were written as two corners are corner and sides."""
    rows = [(c, s) for c, s in zip(corners, sizes, strict=True) if all(map(math.isfinite, c))]
    inverted = sum(right < left or bottom < top for (left, top, right, bottom), _ in rows)
    fit = all(
        min(w, h) > 0 and (size is None or (x + w <= size[1] + 2 and y + h <= size[0] + 2))
        for (x, y, w, h), size in rows
    )
    if len(rows) >= LEAST and inverted >= max(2, SHARE * len(rows)) and fit:
        raise DataError(
            f"{name}: {inverted:,} of {len(rows):,} boxes end before they begin, and all fit as x, y, width and height",
            "write xmin, ymin, xmax and ymax",
        )


def remark_on(boxes: Float[np.ndarray, "n 4"], size: Float[np.ndarray, "n 2"], images: int) -> str:
    """What the boxes of a whole set give reason to doubt; "" if nothing."""
    if not len(boxes):
        return ""
    out = _leaving(boxes, size)
    if out.sum() >= max(5, 2 * SHARE * len(boxes)):
        return LEAVING
    reach = (boxes[:, 2:] / size[:, ::-1]).max(axis=0)
    return SMALL if len(boxes) >= MANY and images >= MANY / 3 and (reach <= EXTENT).all() else ""


def _leaving(boxes: Float[np.ndarray, "n 4"], size: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, "n"]:
    return np.any((boxes[:, 2:] > size[:, ::-1] + 1) | (boxes[:, :2] < -1), axis=1)  # type: ignore[no-any-return]


def upright_around(centre: tuple[float, float], sides: tuple[float, float], angle: float) -> Box:
    """The upright box around one that is turned by `angle` (radians) about its centre.

    A box of 4 x 2 that is turned by 90 degrees becomes 2 x 4.
    """
    (x, y), (width, height) = centre, sides
    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
    half, tall = (width * cos + height * sin) / 2, (width * sin + height * cos) / 2
    return x - half, y - tall, x + half, y + tall
