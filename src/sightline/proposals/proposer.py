"""Boxes for images, computed once for the same pixels: in memory, and on disk for the next run.

Proposals are a pure function of the pixels and of the settings, so a hash of both names their file. A file that is damaged,
missing or cannot be written only costs the time to compute it again.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from sightline.errors import ResourceError
from sightline.storage.files import replace_file
from sightline.storage.reading import read_regular

from .fixed import fixed_boxes
from .selective_search import selective_search

FORMAT = 1  # of the files, and of what `selective_search` answers: a change of either makes old files unused
FIXED = "fixed"
_MEMORY = 4096  # images
_LARGEST = 1 << 20  # bytes of a file
_DIGEST = hashlib.sha256().digest_size


@dataclass
class Proposer:
    """`proposer(image)` → boxes (n, 4) xyxy float32 in pixels, the likeliest first.

    mode     "fast" or "quality" of selective search, or "fixed": the same dense set for every image of a size
    limit    most boxes of an image
    folder   where boxes are kept for the next run; None: nowhere
    """

    mode: str = "fast"
    limit: int = 2000
    folder: Path | None = None
    _known: OrderedDict[bytes, np.ndarray] = field(default_factory=OrderedDict, repr=False)

    def __call__(self, image: UInt8[np.ndarray, "h w c"]) -> Float[np.ndarray, "n 4"]:
        if self.mode == FIXED:
            return self.uncached(image)
        key = self._key(image)
        boxes = self._known.get(key)
        if boxes is None:
            boxes = self._stored(key, lambda: self.uncached(image))
            self._known[key] = boxes
            while len(self._known) > _MEMORY:
                self._known.popitem(last=False)
        return boxes

    def uncached(self, image: UInt8[np.ndarray, "h w c"]) -> Float[np.ndarray, "n 4"]:
        """The same boxes, computed whether they are known or not: for measurements of speed."""
        if self.mode == FIXED:
            return fixed_boxes(image.shape[0], image.shape[1], self.limit)
        return selective_search(image, mode=self.mode, limit=self.limit)

    def _key(self, image: UInt8[np.ndarray, "h w c"]) -> bytes:
        about = f"{FORMAT} {self.mode} {self.limit} {image.shape}".encode()
        return hashlib.sha256(about + np.ascontiguousarray(image).tobytes()).digest()

    def _stored(self, key: bytes, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """What the file of this key holds, or what is computed, which is then written there."""
        if self.folder is None:
            return compute()
        path = self.folder / key.hex()[:2] / key.hex()[2:]
        with suppress(OSError):
            content = read_regular(path, _LARGEST)
            if hashlib.sha256(content[_DIGEST:]).digest() == content[:_DIGEST]:
                return np.frombuffer(content[_DIGEST:], "<f4").reshape(-1, 4).copy()
        boxes = compute()
        body = boxes.astype("<f4").tobytes()
        with suppress(OSError, ResourceError):
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, hashlib.sha256(body).digest() + body)
        return boxes
