"""Pictures inside the page: as large as is worth opening, and none larger than its share of the page.

The page holds each picture once: small in its place, in full when it is opened. All of them together stay below about 8 MB: 24
mistakes, 18 examples and one batch, each at most its limit of bytes, as base64 a third more.
"""

from __future__ import annotations

from dataclasses import dataclass

from sightline.drawing.png import data_uri, png_size
from sightline.drawing.shrunk import shrunk

KILOBYTE = 1000


@dataclass(frozen=True)
class PagePicture:
    """A `data:` address and its size in pixels."""

    image: str
    width: int
    height: int


def page_picture(png: bytes, *, most: int, limit: int) -> PagePicture:
    """The PNG with a palette, its longer side at most `most` pixels, in at most `limit` bytes."""
    small = shrunk(png, most=most, limit=limit)
    width, height = png_size(small)
    return PagePicture(data_uri(small), width, height)
