"""Original frame → the network's frame, and back: one rule for where the pixels of an image land.

    stretch     both sides resized to the network's, ignoring the aspect ratio
    letterbox   the whole image, aspect ratio kept, centred; the rest is `pad` (darknet's idea, Redmon 2013-)
    corner      a letterbox whose image lies in the upper left corner (Ge et al. 2021, arXiv:2107.08430)
    crop        the shortest side resized to the network's / `share`, then the centre cropped (Krizhevsky et al. 2012;
                share 0.875 is "resize 256, crop 224")
    shortest    the shortest side to min(height, width), the longest at most max(height, width), aspect ratio kept; padded
                right and below to a multiple (Girshick 2015, "Fast R-CNN", arXiv:1504.08083)
    longest     the longest side to max(height, width), padded likewise

Resizing is Pillow's bilinear filter, whose support grows when shrinking (antialiasing); an image that already has the
right size is copied bit for bit. Unlike the usual crop the whole image is not resized first: the crop is resampled from
the original, so a 1 x 1,000,000 strip needs no memory, and the scale is exact, not rounded to pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from sightline.errors import UsageError, nearest

MAX_SIDE = 1 << 15  # pixels of a side of the network's frame
MAX_AREA = 1 << 26  # and of its area
FITS = ("stretch", "letterbox", "corner", "crop", "shortest", "longest")


class Placement(NamedTuple):
    """The scales from original to network pixels, where the top left corner of the original lands, and the canvas."""

    scale_x: float
    scale_y: float
    left: int
    top: int
    height: int
    width: int

    @property
    def frame(self) -> Float[np.ndarray, "3 3"]:
        """Original → network for points (x, y, 1) on half-open pixel edges: (0, 0) is the outer corner of a pixel."""
        return np.array([[self.scale_x, 0, self.left], [0, self.scale_y, self.top], [0, 0, 1]], dtype=np.float64)


@dataclass(frozen=True)
class Geometry:
    """`height` and `width` of the network's frame and how (`FITS`) images are placed in it; `pad` is the value of pixels
    outside the image; `share` belongs to crop, `multiple` to shortest and longest."""

    height: int
    width: int
    fit: str = "stretch"
    pad: int = 127
    share: float = 1.0
    multiple: int = 32

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise UsageError(f"unknown fit {self.fit!r}", nearest(str(self.fit), FITS))
        if self.height < 1 or self.width < 1 or self.multiple < 1:
            raise UsageError(
                f"a frame of {self.height} x {self.width} with multiple {self.multiple} is empty",
                "use values of at least 1",
            )
        if max(self.height, self.width, self.multiple) > MAX_SIDE or self.height * self.width > MAX_AREA:
            raise UsageError(
                "the frame is larger than any network's input", f"use sides of at most {MAX_SIDE:,} pixels"
            )
        if not 0 <= self.pad <= 255:
            raise UsageError(f"pad is {self.pad}", "use a pixel value from 0 to 255")
        if not 0 < self.share <= 1:
            raise UsageError(f"share is {self.share}", "use a share above 0 and at most 1")

    def placement(self, height: int, width: int) -> Placement:
        """Where an original of this size lands.

        A letterbox of 64 x 64 and an original 100 high, 200 wide: the scale is min(64/200, 64/100) = 0.32, the image
        becomes 32 high and 64 wide, and 16 rows of padding remain above and below it: left 0, top 16.
        """
        if self.fit == "stretch":
            return Placement(self.width / width, self.height / height, 0, 0, self.height, self.width)
        if self.fit == "crop":
            scale = max(self.width / width, self.height / height) / self.share
            left, top = _excess(width * scale, self.width), _excess(height * scale, self.height)
            return Placement(scale, scale, -left, -top, self.height, self.width)
        scale = self._scale(height, width)
        h, w = _round_up_half(height * scale), _round_up_half(width * scale)
        if self.fit in ("letterbox", "corner"):
            h, w = min(h, self.height), min(w, self.width)
            left, top = ((self.width - w) // 2, (self.height - h) // 2) if self.fit == "letterbox" else (0, 0)
            return Placement(w / width, h / height, left, top, self.height, self.width)
        canvas = (-(-side // self.multiple) * self.multiple for side in (h, w))
        return Placement(w / width, h / height, 0, 0, *canvas)

    def _scale(self, height: int, width: int) -> float:
        if self.fit in ("letterbox", "corner"):
            return min(self.width / width, self.height / height)
        long = max(self.height, self.width) / max(height, width)
        if self.fit == "longest":
            return long
        return min(long, min(self.height, self.width) / min(height, width))

    def apply(self, pixels: UInt8[np.ndarray, "h w c"]) -> tuple[UInt8[np.ndarray, "H W c"], Float[np.ndarray, "3 3"]]:
        """The image in the network's frame, and the frame (3, 3) that maps original to network points."""
        height, width, channels = pixels.shape
        place = self.placement(height, width)
        if self.fit == "crop":
            return _crop(pixels, place), place.frame
        h, w = _round_up_half(height * place.scale_y), _round_up_half(width * place.scale_x)
        resized = _resize(pixels, h, w, None)
        if (h, w) == (place.height, place.width):
            return resized, place.frame
        canvas = np.full((place.height, place.width, channels), self.pad, dtype=np.uint8)
        canvas[place.top : place.top + h, place.left : place.left + w] = resized
        return canvas, place.frame

    def apply_mask(self, mask: UInt8[np.ndarray, "h w"], fill: int) -> UInt8[np.ndarray, "H W"]:
        """A mask of class indexes, placed as `apply` places its image: each pixel takes the value at its centre, since the
        mean of two classes is a third; `fill` outside the image."""
        height, width = mask.shape
        place = self.placement(height, width)
        box = None
        if self.fit == "crop":
            h, w, box = place.height, place.width, _crop_box(height, width, place)
        else:
            h, w = _round_up_half(height * place.scale_y), _round_up_half(width * place.scale_x)
        resized = mask
        if box is not None or (h, w) != (height, width):
            resized = np.array(Image.fromarray(mask).resize((w, h), Image.Resampling.NEAREST, box=box))
        if (h, w) == (place.height, place.width):
            return resized.copy()
        canvas = np.full((place.height, place.width), fill, dtype=np.uint8)
        canvas[place.top : place.top + h, place.left : place.left + w] = resized
        return canvas


def _round_up_half(side: float) -> int:
    """Rounded half up, and at least 1."""
    return max(1, math.floor(side + 0.5))


def _excess(scaled: float, side: int) -> int:
    """Whole network pixels cropped before the centre; the tiny addend absorbs rounding errors in `scaled`."""
    return max(0, math.floor((scaled - side) / 2 + 1e-6))


def _crop(pixels: UInt8[np.ndarray, "h w c"], place: Placement) -> UInt8[np.ndarray, "H W c"]:
    height, width, _ = pixels.shape
    return _resize(pixels, place.height, place.width, _crop_box(height, width, place))


def _crop_box(height: int, width: int, place: Placement) -> tuple[float, float, float, float]:
    """The part of an original that a crop shows: left, top, right, bottom."""
    left, top = -place.left / place.scale_x, -place.top / place.scale_y
    right = min(float(width), left + place.width / place.scale_x)
    bottom = min(float(height), top + place.height / place.scale_y)
    return left, top, right, bottom


def _resize(
    pixels: UInt8[np.ndarray, "h w c"], height: int, width: int, box: tuple[float, float, float, float] | None
) -> UInt8[np.ndarray, "H W c"]:
    if box is None and pixels.shape[:2] == (height, width):
        return pixels.copy()
    grey = pixels.shape[2] == 1
    image = Image.fromarray(pixels[..., 0] if grey else pixels)
    out = np.array(image.resize((width, height), Image.Resampling.BILINEAR, box=box))
    return out[..., None] if grey else out
