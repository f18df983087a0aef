"""The picture of a suspicion: the image, with the boxes or the region concerned on it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image, ImageDraw
from scipy import ndimage

from sightline.drawing.heat import in_original
from sightline.drawing.overlay import MISSED, WRONG, coloured
from sightline.drawing.png import Picture, fitted
from sightline.evaluation.label_errors.finding import Suspicion

ROOM = 1.5  # sides of the box that are shown around it
LEAST = 96  # pixels
LARGEST = 480  # pixels of the longer side of an image with a region
_VEIL = 0.55  # of the image's brightness that is left outside of a region


def picture_of(pixels: Picture, suspicion: Suspicion) -> Picture:
    """The image (h, w, c); with boxes, the part around them: the given box in the colour of a mistake, the suggested one
    in that of what was missed; with a region, its outline, the rest darkened."""
    if suspicion.mask is not None and suspicion.frame is not None:
        return _with_region(pixels, suspicion.mask, suspicion.frame)
    boxes = [box for box in suspicion.boxes if box]
    if not boxes:
        return pixels
    picture = Image.fromarray(coloured(pixels))
    draw = ImageDraw.Draw(picture)
    width = max(1, round(max(picture.size) / 200))
    for place, box in enumerate(suspicion.boxes):
        if box:
            draw.rectangle([round(v) for v in box], outline=(MISSED if place else WRONG), width=width)
    left, top = np.min([box[:2] for box in boxes], axis=0)
    right, bottom = np.max([box[2:] for box in boxes], axis=0)
    side = max(right - left, bottom - top, LEAST / 2) * ROOM
    x, y = (left + right) / 2, (top + bottom) / 2
    area = (max(0, x - side), max(0, y - side), min(picture.width, x + side), min(picture.height, y + side))
    return np.asarray(picture.crop(tuple(round(v) for v in area)))  # type: ignore[arg-type]


def _with_region(pixels: Picture, region: Bool[np.ndarray, "h w"], frame: Float[np.ndarray, "3 3"]) -> Picture:
    picture = coloured(fitted(pixels, least=240, most=LARGEST))
    down, across = (pixels.shape[side] / picture.shape[side] for side in (0, 1))
    scaled = frame @ np.diag([across, down, 1.0])  # points of the picture → the original → the network's frame
    shares = in_original(region.astype(np.float64), scaled, (picture.shape[0], picture.shape[1]))
    inside = np.nan_to_num(shares) >= 0.5
    thick = max(1, round(max(picture.shape) / 160))
    edge = ndimage.binary_dilation(inside, iterations=thick) & ~inside
    out = np.where(inside[..., None], picture, (picture * _VEIL).astype(np.uint8))
    out[edge] = MISSED
    return out
