"""The one decoder: bytes, a file or pixels in memory → uint8 pixels the right way up, or `Rejected` with a reason.

Training, evaluation and prediction all read images here. The allow-list is `FORMATS`; limits on bytes and pixels are
checked before memory is allocated; metadata other than the orientation is ignored; only the first frame is used, with a
note. A JPEG has no checksum: damage in its coded data that libjpeg conceals goes undetected.

Thread-safe: no setting of Pillow and no warning filter is touched. Pillow may warn about damaged metadata through
`warnings`; the calling program decides which warnings to show.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

# Plugins register themselves on import; otherwise the first WebP or TIFF makes Pillow import every plugin.
from PIL import Image, TiffImagePlugin, UnidentifiedImageError, WebPImagePlugin  # noqa: F401

from sightline.storage.text import printable

from .containers import FORMATS, Container, check_complete, walk
from .depth import Samples, peak_of, samples_of, to_8_bits
from .pixels import Colour, composite, layers, orient, with_channels
from .reading import read_bytes
from .rejection import Rejected
from .tiff import ORIENTATION, orientation

MAX_PIXELS = 89_478_485  # where Pillow begins to warn of a decompression bomb
MAX_BYTES = 1 << 28
# An image of more than 16 million pixels must have a byte for every 20,000 of them. Deflate packs at most 8,256 into one
# (1-bit PNG); formats that encode a canvas of one colour in thirty bytes pack more, and would cost gigabytes.
FREE_PIXELS, PIXELS_A_BYTE = 1 << 24, 20_000
WHITE = (255, 255, 255)
_SUFFIXES = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".png": "PNG", ".apng": "PNG", ".webp": "WEBP",
    ".bmp": "BMP", ".dib": "BMP", ".gif": "GIF", ".tif": "TIFF", ".tiff": "TIFF",
}  # fmt: skip


@dataclass(frozen=True)
class Decoded:
    """`pixels` (h, w, channels), upright; `mode` Pillow's name of the stored layout; `format` of `FORMATS`
    ("array" for pixels from memory); `notes` codes of what was done: exif-rotated, exif-unreadable, alpha-composited,
    first-frame-of-N, 16-bit-scaled, 12-bit-scaled, 16-bit-high-byte, extra-bands-unused, beyond-depth, cmyk-converted,
    palette, junk-after-end, wrong-extension; `samples` with all their bits, upright, if asked for and if there are more
    than 8."""

    pixels: UInt8[np.ndarray, "h w c"]
    mode: str
    format: str
    notes: tuple[str, ...] = ()
    samples: Samples | None = None


def decode(
    source: bytes | Path | np.ndarray,
    *,
    channels: int = 3,
    background: tuple[int, int, int] = WHITE,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
    depth: int | None = None,
    keep_samples: bool = False,
) -> Decoded:
    """The image as uint8 (h, w, channels), channels 1 or 3. Whatever the content, it raises `Rejected` or nothing.

    `depth` is the number of bits that samples of 16 really have, None or 16: all of them. Pixels in memory are (h, w),
    (h, w, 1), (h, w, 3) or (h, w, 4); they are used unchanged, with alpha composited.
    """
    if channels not in (1, 3):
        raise ValueError(f"channels is 1 or 3, not {channels}")
    if isinstance(source, np.ndarray):
        return _from_memory(source, channels, background, max_pixels)
    try:
        data = read_bytes(source, max_bytes) if isinstance(source, Path) else source
        if len(data) > max_bytes:
            raise Rejected("too-large-file", f"{len(data):,} bytes; at most {max_bytes:,} are read")
        decoded = _from_bytes(data, channels, background, min(max_pixels, MAX_PIXELS), depth, keep_samples)
    except Rejected as rejected:
        if isinstance(source, Path):
            raise Rejected(rejected.reason, rejected.detail, printable(str(source))) from rejected
        raise
    if isinstance(source, Path) and _SUFFIXES.get(source.suffix.lower(), decoded.format) != decoded.format:
        return replace(decoded, notes=(*decoded.notes, "wrong-extension"))
    return decoded


def _from_bytes(
    data: bytes,
    channels: int,
    background: tuple[int, int, int],
    max_pixels: int,
    depth: int | None,
    keep_samples: bool,
) -> Decoded:
    name = "image"
    try:
        container = walk(data)
        name = container.format
        _check_size(container.width, container.height, max_pixels)
        area = max(container.width * container.height, container.area)
        if area > MAX_PIXELS:
            raise Rejected("too-many-pixels", f"tiles of {area:,} pixels; at most {MAX_PIXELS:,}")
        _check_expansion(area, len(data))
        check_complete(data, container)
        with Image.open(io.BytesIO(container.essential(data)), formats=(container.format,)) as image:
            _check_size(*image.size, max_pixels)
            return _read_pixels(image, data, container, channels, background, depth, keep_samples)
    except Rejected:
        raise
    except UnidentifiedImageError as error:
        raise Rejected("damaged", f"{name} whose header cannot be read") from error
    except Image.DecompressionBombError as error:
        raise Rejected("too-many-pixels", str(error)) from error
    except MemoryError as error:
        raise Rejected("out-of-memory", f"{name} whose pixels do not fit into memory") from error
    except Exception as error:  # parsers raise anything on hostile bytes, and none may end a training
        reason = "truncated" if "truncated" in str(error).lower() else "damaged"
        raise Rejected(reason, f"{name}: {error or type(error).__name__}") from error


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise Rejected("zero-size", f"{width} x {height} pixels")
    if width * height > max_pixels:
        raise Rejected("too-many-pixels", f"{width} x {height} = {width * height:,} pixels; at most {max_pixels:,}")


def _check_expansion(pixels: int, size: int) -> None:
    if pixels > max(FREE_PIXELS, PIXELS_A_BYTE * size):
        raise Rejected("too-many-pixels", f"{pixels:,} pixels from {size:,} bytes; at most {PIXELS_A_BYTE:,} from each")


def _read_pixels(
    image: Image.Image,
    data: bytes,
    container: Container,
    channels: int,
    background: tuple[int, int, int],
    depth: int | None,
    keep_samples: bool,
) -> Decoded:
    """The pixels of a lazily opened image, decoded and brought into our layout."""
    notes: list[str] = []
    mode, orientation_code = image.mode, _orientation(image, container, notes)
    image.load()
    if image.mode == "YCbCr":
        image = image.convert("RGB")
    frames = container.frames or int(getattr(image, "n_frames", 1))
    if frames > 1:
        notes.append(f"first-frame-of-{frames}")
    more = container.format == "JPEG" and frames > 1  # a multi-picture JPEG: the others follow the end of the first
    if container.end is not None and container.end < len(data) and not more:
        notes.append("junk-after-end")
    colour, alpha = layers(image, container, notes)
    shallow = depth is not None and depth < container.bits == 16
    samples = samples_of(image, data, container) if shallow or keep_samples else None
    if shallow and depth is not None and samples is not None:
        colour = to_8_bits(samples, depth, container)
        notes += ["beyond-depth"] if peak_of(samples) >> depth else []
    if alpha is not None:
        colour = composite(colour, alpha, background)
        notes.append("alpha-composited")
    pixels = with_channels(colour, channels)
    turn = 1 if container.format == "TIFF" else orientation_code  # Pillow rotates a TIFF itself while loading it
    whole = orient(np.atleast_3d(samples), turn) if samples is not None and keep_samples else None
    return Decoded(orient(pixels, turn), mode, container.format, tuple(notes), whole)


def stated_orientation(image: Image.Image, container: Container) -> int | None:
    """The EXIF orientation as stored; 1 if there is none, None if it cannot be read."""
    if container.format == "TIFF":
        stated = image.getexif().get(ORIENTATION, 1)  # the same that Pillow applies while loading
        return stated if isinstance(stated, int) else 1
    exif = container.exif if container.format in ("JPEG", "PNG") else image.info.get("exif")
    return 1 if exif is None else orientation(exif)


def _orientation(image: Image.Image, container: Container, notes: list[str]) -> int:
    orientation_code = stated_orientation(image, container)
    if orientation_code is None:
        notes.append("exif-unreadable")
        return 1
    if orientation_code in range(2, 9):
        notes.append("exif-rotated")
    return orientation_code


def _from_memory(source: np.ndarray, channels: int, background: tuple[int, int, int], max_pixels: int) -> Decoded:
    if source.ndim not in (2, 3) or source.dtype != np.uint8 or (source.ndim == 3 and source.shape[2] not in (1, 3, 4)):
        raise Rejected("unsupported-format", f"an array of shape {source.shape} and type {source.dtype}")
    _check_size(source.shape[1], source.shape[0], max_pixels)
    colour: Colour = source[..., 0] if source.ndim == 3 and source.shape[2] == 1 else source
    mode = "L" if colour.ndim == 2 else ("RGB", "RGBA")[colour.shape[2] - 3]
    if mode == "RGBA":
        colour = composite(colour[..., :3], colour[..., 3], background)
        return Decoded(with_channels(colour, channels), mode, "array", ("alpha-composited",))
    return Decoded(np.ascontiguousarray(with_channels(colour, channels)), mode, "array")


__all__ = ["FORMATS", "MAX_BYTES", "MAX_PIXELS", "Decoded", "decode"]
