"""How an image is stored in its file, and how annotations are rotated with it: EXIF's eight orientations.

An annotation counts either the stored pixels or the upright ones. The rule, for boxes, outlines and masks alike: it counts
the stored ones, unless its own width and height (the size of a mask) are those of the upright image only. Turned by 180
degrees or mirrored, both have the same size, which then tells nothing: the audit notes that the rule decided. Boxes without
a size that leave the stored image and fit the upright one are upright.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from sightline.preprocessing.containers import walk
from sightline.preprocessing.decoder import MAX_BYTES, stated_orientation
from sightline.preprocessing.pixels import orient
from sightline.preprocessing.reading import read_bytes
from sightline.preprocessing.rejection import Rejected

from .records import Content


class Stored(NamedTuple):
    """Height and width as stored, and the EXIF orientation that makes the image upright."""

    height: int
    width: int
    orientation: int = 1

    @property
    def size(self) -> tuple[int, int]:
        return self.height, self.width

    @property
    def oriented(self) -> tuple[int, int]:
        """Height and width of the upright image."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)


def stored(content: Content) -> Stored:
    """How an image is stored, from its header alone. Raises Rejected."""
    if isinstance(content, np.ndarray):
        return Stored(*content.shape[:2])
    data = read_bytes(content, MAX_BYTES) if isinstance(content, Path) else content
    container = walk(data)
    try:
        with Image.open(io.BytesIO(container.essential(data)), formats=(container.format,)) as image:
            orientation = stated_orientation(image, container)
    except Exception as error:  # as in the decoder: no bytes may end a training
        raise Rejected("damaged", f"{container.format}: {error or type(error).__name__}") from error
    return Stored(container.height, container.width, orientation if orientation and orientation in range(1, 9) else 1)


class Frame(NamedTuple):
    """The pixels that an annotation counts: the size of that image, the EXIF orientation which makes it upright, and whether
    only the rule decided."""

    height: int
    width: int
    orientation: int
    undecided: bool


def frame_of(stated: tuple[int, int] | None, image: Stored, reach: tuple[float, float] = (0, 0)) -> Frame | None:
    """The frame of an annotation that states this (height, width), or none, and whose boxes `reach` as far down and right.
    None if it is for an image of another size.

    Stored 100 high and 200 wide with orientation 6: stated as 200 x 100, it is upright; as 100 x 200, or without boxes below
    100, it is stored.
    """
    undecided = image.orientation > 1 and (stated is None or image.size == image.oriented)
    if stated is not None:
        is_upright = stated == image.oriented != image.size
        if not is_upright and stated != image.size:
            return None
    else:
        is_upright = _holds(image.oriented, reach) and not _holds(image.size, reach)
        undecided = undecided and not is_upright
    return Frame(*(image.oriented if is_upright else image.size), 1 if is_upright else image.orientation, undecided)


def _holds(size: tuple[int, int], reach: tuple[float, float]) -> bool:
    return reach[0] <= size[0] + 1 and reach[1] <= size[1] + 1


def upright(mask: UInt8[np.ndarray, "h w"], orientation: int) -> UInt8[np.ndarray, "h2 w2"]:
    """A mask of the stored pixels, rotated as `decode` rotates the image."""
    return orient(mask[..., None], orientation)[..., 0] if orientation > 1 else mask


def upright_boxes(
    boxes: Float[np.ndarray, "n 4"], height: int, width: int, orientation: int
) -> Float[np.ndarray, "n 4"]:
    """Boxes in an image stored with `height` and `width`, rotated as its pixels are: transposed from orientation 5 on, then
    rows, columns or both are reversed.

    Orientation 6 of an image stored 100 high and 200 wide: the box (10, 20, 30, 50) is transposed to (20, 10, 50, 30) in
    an image 200 high and 100 wide, then mirrored: (50, 10, 80, 30).
    """
    left, top, right, bottom = boxes.T
    if orientation >= 5:
        left, top, right, bottom = top, left, bottom, right
        height, width = width, height
    if orientation in (3, 4, 7, 8):
        top, bottom = height - bottom, height - top
    if orientation in (2, 3, 6, 7):
        left, right = width - right, width - left
    return np.stack([left, top, right, bottom], axis=1)  # (n, 4)
