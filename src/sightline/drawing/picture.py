"""A picture that a notebook shows, that can be saved, and that numpy and Pillow take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from .png import png_bytes


@dataclass(frozen=True, eq=False)
class Picture:
    """`array` is uint8 (h, w, 3)."""

    array: UInt8[np.ndarray, "h w 3"]

    @property
    def image(self) -> Image.Image:
        """The picture of Pillow."""
        return Image.fromarray(self.array)

    def save(self, path: str | Path) -> None:
        """Write it as PNG, JPEG or whatever the suffix says."""
        more: dict[str, Any] = (
            {"quality": 92, "subsampling": 0} if Path(path).suffix.lower() in (".jpg", ".jpeg") else {}
        )
        self.image.save(path, **more)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.array if dtype is None else self.array.astype(dtype)

    def _repr_png_(self) -> bytes:
        return png_bytes(self.array)

    def __repr__(self) -> str:
        height, width = self.array.shape[:2]
        return f"<picture of {width} x {height} pixels>"
