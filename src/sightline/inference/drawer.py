"""Annotated images and videos, written as predictions come."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from sightline.drawing.png import png_bytes
from sightline.drawing.predictions import Painter
from sightline.preprocessing.decoder import decode
from sightline.runtime.model import Source
from sightline.storage.files import TEMPORARY, no_space, replace_file

from .inputs import Item
from .naming import JPEG, place_of
from .video import CAMERA, RATE, VideoWriter, rate_of

QUALITY = 92  # of JPEG, without thinning its colours: names on coloured chips stay sharp


def original(source: Source, depth: int | None = None) -> UInt8[np.ndarray, "h w 3"]:
    """The image in colour, at its own size. Raises `Rejected`."""
    return decode(source, channels=3, depth=depth).pixels


def picture_bytes(picture: UInt8[np.ndarray, "h w 3"], suffix: str) -> bytes:
    """The file of a picture: JPEG where the suffix says so, else PNG."""
    if suffix.lower() not in JPEG:
        return png_bytes(picture)
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=QUALITY, subsampling=0)
    return stream.getvalue()


class Drawer:
    """`add` each prediction; `close` ends the last video. Pictures in `folder`, named as `naming` says."""

    def __init__(
        self, folder: Path, painter: Painter, classes: Sequence[str], depth: int | None, every: int = 1
    ) -> None:
        self._folder, self._painter, self._classes, self._depth = folder, painter, classes, depth
        self._every = every
        self._video: tuple[str, VideoWriter, Path] | None = None

    def add(self, item: Item, row: Mapping[str, Any], mask: np.ndarray | None) -> Path | None:
        """Where it was written; None for an image that could not be read."""
        if "error" in row:
            return None
        picture = self._painter(original(item.source, self._depth), row, mask, self._classes)
        if item.frame is not None:
            return self._frame(item, picture)
        self.close()
        path = place_of(self._folder, item)
        replace_file(path, picture_bytes(picture, path.suffix))
        return path

    def _frame(self, item: Item, picture: UInt8[np.ndarray, "h w 3"]) -> Path:
        """A video keeps its speed: of every n-th frame there are n times fewer a second."""
        if self._video is None or self._video[0] != item.place:
            self.close()
            path = self._folder / f"{Path(item.place).stem}.mp4"
            temporary = self._folder / f"{TEMPORARY}{secrets.token_hex(6)}"
            rate = Fraction(RATE) if item.path.startswith(CAMERA) else rate_of(item.path)
            with no_space(path, 0):
                self._video = (item.place, VideoWriter(temporary, rate / self._every), path)
        self._video[1].add(picture)
        return self._video[2]

    def close(self) -> None:
        """Put the video in its place."""
        if self._video is None:
            return
        _, writer, path = self._video
        self._video = None
        with no_space(path, 0):
            writer.close()
            os.replace(writer.path, path)

    def abandon(self) -> None:
        """Remove what there is of an unfinished video."""
        if self._video is not None:
            self._video[1].path.unlink(missing_ok=True)
            self._video = None
