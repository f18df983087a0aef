"""Digital: contrast, elastic deformation, large pixels, JPEG."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from scipy import ndimage

from .kernels import Picture

CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)
ELASTIC = (12.5, 16.25, 21.25, 25.0, 30.0)  # amplitude
PIXELATE = (0.6, 0.5, 0.4, 0.3, 0.25)  # of the side
QUALITY = (25, 18, 15, 10, 7)


def contrast(x: Picture, severity: int, draws: np.random.Generator) -> Picture:
    mean = x.mean(axis=(0, 1), keepdims=True)
    return (x - mean) * CONTRAST[severity] + mean


def elastic_transform(x: Picture, severity: int, draws: np.random.Generator) -> Picture:
    """Every pixel comes from a place nearby; smooth fields of displacement (Simard, Steinkraus & Platt 2003)."""
    height, width = x.shape[:2]
    sigma, most = (0.01 * height, 0.01 * width), 0.005 * height
    right, down = (
        ndimage.gaussian_filter(draws.uniform(-most, most, (height, width)), sigma, mode="reflect", truncate=3.0)
        * ELASTIC[severity]
        for _ in range(2)
    )
    rows, columns = np.mgrid[:height, :width]
    places = [rows + down, columns + right]
    planes = [ndimage.map_coordinates(x[..., i], places, order=1, mode="reflect") for i in range(x.shape[2])]
    return np.stack(planes, 2)


def pixelate(x: Picture, severity: int, draws: np.random.Generator) -> Picture:
    height, width = x.shape[:2]
    share = PIXELATE[severity]
    image = _image(x)
    small = image.resize((max(1, int(width * share)), max(1, int(height * share))), Image.Resampling.BOX)
    return _picture(small.resize((width, height), Image.Resampling.NEAREST))


def jpeg_compression(x: Picture, severity: int, draws: np.random.Generator) -> Picture:
    """Encoded in colour, as pictures of a camera are, also where the image is grey."""
    return jpeg(x, QUALITY[severity])


def jpeg(x: Picture, quality: int) -> Picture:
    image, stream = _image(x), io.BytesIO()
    image.convert("RGB").save(stream, "JPEG", quality=quality)
    return _picture(Image.open(stream).convert(image.mode))


def _image(x: Picture) -> Image.Image:
    values = np.round(x * 255).astype(np.uint8)
    return Image.fromarray(values[..., 0] if x.shape[2] == 1 else values)


def _picture(image: Image.Image) -> Picture:
    values = np.asarray(image, np.float64) / 255
    return values[..., None] if values.ndim == 2 else values
