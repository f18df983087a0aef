"""An image as an array, a tensor or a PIL image → what the decoder takes: uint8 pixels, or the bytes of a file.

Arrays are (h, w) or (h, w, c), as NumPy and PIL have them, tensors (c, h, w) or (h, w), as torch has them. Bytes stay as they
are, integers must lie in 0 to 255, and floats in 0 to 1: x becomes round(255 · x). Other floats are refused, because nothing
says what black and white are in them.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image

from sightline.errors import DataError

CHANNELS = (1, 3, 4)
_PLAIN = ("L", "RGB")


def content_of(image: Any, where: str) -> UInt8[np.ndarray, "h w ..."] | bytes:
    """The pixels of one image, or a PNG file where a PIL image has transparency, a palette or 16 bits. DataError, with
    `where` it is, for anything else."""
    if isinstance(image, Image.Image):
        if image.mode in _PLAIN:
            return np.asarray(image)
        file = io.BytesIO()
        (image.convert("RGB") if image.mode in ("CMYK", "YCbCr", "LAB", "HSV", "F") else image).save(file, "PNG")
        return file.getvalue()
    is_tensor = hasattr(image, "detach")
    pixels = array_of(image)
    if pixels.dtype == object or pixels.ndim not in (2, 3):
        raise DataError(
            f"{where} is a {type(image).__name__}{_shape(pixels)}, no image",
            "pass PIL images, arrays (h, w, c) or tensors (c, h, w)",
        )
    if pixels.ndim == 3:
        pixels = pixels.transpose(1, 2, 0) if is_tensor else pixels
        if pixels.shape[2] not in CHANNELS:
            order = "tensors are (c, h, w)" if is_tensor else "arrays are (h, w, c)"
            raise DataError(f"{where} has {pixels.shape[2]} channels: {order}", "move the channels to their place")
    return as_bytes(pixels, where)


def array_of(values: Any) -> np.ndarray:
    """An array, tensor or sequence as an array on the host."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.float() if str(values.dtype) == "torch.bfloat16" else values
        return np.asarray(values.numpy())
    try:
        return np.asarray(values)
    except ValueError:  # of unequal lengths
        return np.asarray(values, dtype=object)


def as_bytes(pixels: Shaped[np.ndarray, "..."], where: str) -> UInt8[np.ndarray, "..."]:
    """Pixels as uint8, by the rule above."""
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * np.uint8(255)
    if not pixels.size:
        raise DataError(f"{where} has no pixels", "leave it out")
    if not np.issubdtype(pixels.dtype, np.number) or np.issubdtype(pixels.dtype, np.complexfloating):
        raise DataError(f"{where} holds {pixels.dtype}, no pixels", "pass uint8, or floats in 0 to 1")
    low, high = float(pixels.min()), float(pixels.max())
    if np.issubdtype(pixels.dtype, np.integer):
        if low < 0 or high > 255:
            raise DataError(f"{where} holds {pixels.dtype} from {low:g} to {high:g}, not 0 to 255", "scale it to uint8")
        return pixels.astype(np.uint8)
    if not (low >= 0 and high <= 1):
        raise DataError(
            f"{where} holds floats from {low:g} to {high:g}: what is black, what white?",
            "pass uint8, or floats in 0 to 1; leave Normalize out, images are normalised here",
        )
    return np.rint(pixels.astype(np.float64) * 255).astype(np.uint8)


def _shape(pixels: np.ndarray) -> str:
    return "" if pixels.dtype == object else f" of shape {pixels.shape}"
