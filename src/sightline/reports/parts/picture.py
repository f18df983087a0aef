"""Pictures inside the page: as large as is worth opening, and none larger than its share of the page.

The page holds each picture once: small in its place, in full when it is opened. All of them together stay below about 9 MB: 24
mistakes and 48 images of slices with their heat maps, or 18 examples, and one batch, each at most its limit of bytes, as base64
a third more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sightline.drawing.png import data_uri, png_size
from sightline.drawing.shrunk import shrunk
from sightline.reports.samples import HeatMap

KILOBYTE = 1000
MAP_SIDE, MAP_LIMIT = 240, 20 * KILOBYTE  # pixels and bytes of a heat map
METHODS = {
    "grad_cam": "Grad-CAM: where features that raise it are active",
    "gradient": "gradient: the pixels whose change moves it most",
}


@dataclass(frozen=True)
class PagePicture:
    """A `data:` address and its size in pixels."""

    image: str
    width: int
    height: int


@dataclass(frozen=True)
class MapPicture(PagePicture):
    """A heat map of `score`; `evidence` as in HeatMap."""

    score: str
    evidence: bool


def page_picture(png: bytes, *, most: int, limit: int) -> PagePicture:
    """The PNG with a palette, its longer side at most `most` pixels, in at most `limit` bytes."""
    small = shrunk(png, most=most, limit=limit)
    width, height = png_size(small)
    return PagePicture(data_uri(small), width, height)


def map_picture(maps: Mapping[int, HeatMap], id: int) -> MapPicture | None:
    """The heat map of an image, None where there is none."""
    if (one := maps.get(id)) is None:
        return None
    picture = page_picture(one.png, most=MAP_SIDE, limit=MAP_LIMIT)
    return MapPicture(picture.image, picture.width, picture.height, one.score, one.evidence)


def map_note(maps: Mapping[int, HeatMap]) -> str:
    """What the maps beside images show, in two sentences; "" where there are none."""
    methods = {one.method for one in maps.values()}
    if not methods:
        return ""
    shows = [words for name, words in METHODS.items() if name in methods]
    return (
        f"Beside an image: what the score of the answer depends on ({'; '.join(shows)}). Each map has its own scale. "
        "One map proves little: sightline explain shows it beside its controls."
    )
