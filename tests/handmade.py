"""PNG, TIFF and GIF files written by hand: a reader is not tested with the pixels of its own writer.

Everything here follows the formats' specifications in the plainest way; nothing is fast and nothing is compressed well.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)  # x, y, steps


# ---------------------------------------------------------------------------------------------------------------- PNG
def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))


def png(
    width: int, height: int, bits: int, colour: int, rows: bytes | None, *between: bytes, interlace: int = 0
) -> bytes:
    """A PNG of rows that already carry their filter bytes; None leaves the pixel data out."""
    header = chunk(b"IHDR", struct.pack(">LLBBBBB", width, height, bits, colour, 0, 0, interlace))
    data = b"" if rows is None else chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(between) + data + chunk(b"IEND", b"")


def packed(samples: np.ndarray, bits: int) -> bytes:
    """One row of samples as bits, the first in the highest."""
    if bits == 16:
        return samples.astype(">u2").tobytes()
    text = "".join(format(int(v), f"0{bits}b") for v in samples.ravel())
    return bytes(int(text[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(text), 8))


def png_of(samples: np.ndarray, bits: int, colour: int, *between: bytes, interlace: bool = False) -> bytes:
    """A PNG of samples (h, w) or (h, w, c), unfiltered."""
    height, width = samples.shape[:2]
    parts = [samples[y::dy, x::dx] for x, y, dx, dy in PASSES] if interlace else [samples]
    rows = b"".join(b"\0" + packed(row, bits) for part in parts if part.size for row in part)
    return png(width, height, bits, colour, rows, *between, interlace=int(interlace))


# --------------------------------------------------------------------------------------------------------------- TIFF
def tiff(tags: dict[int, tuple[int, list[int]]], pixels: bytes, order: str = "<") -> bytes:
    """A TIFF of one strip: tag → (type, values), 273 and 279 are filled in; the directory stands behind the pixels."""
    start = 8
    tags = {273: (4, [start]), 279: (4, [len(pixels)]), **tags}
    extra, entries = b"", b""
    after = start + len(pixels) + len(pixels) % 2
    directory = after + 2 + 12 * len(tags) + 4
    for tag, (kind, values) in sorted(tags.items()):
        body = struct.pack(f"{order}{len(values)}{'H' if kind == 3 else 'L'}", *values)
        if len(body) > 4:
            body, extra = struct.pack(f"{order}L", directory + len(extra)), extra + body
        entries += struct.pack(f"{order}HHL", tag, kind, len(values)) + body.ljust(4, b"\0")
    mark = b"II*\0" if order == "<" else b"MM\0*"
    ifd = struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}L", 0)
    return mark + struct.pack(f"{order}L", after) + pixels + b"\0" * (len(pixels) % 2) + ifd + extra


def tiff_tags(
    width: int, height: int, bits: list[int], photometric: int, **more: int
) -> dict[int, tuple[int, list[int]]]:
    """The tags of a single-strip image."""
    names = {"sample_format": 339, "orientation": 274, "planar": 284, "extra": 338, "compression": 259}
    tags = {256: (4, [width]), 257: (4, [height]), 258: (3, bits), 262: (3, [photometric]), 278: (4, [height])}
    tags |= {277: (3, [len(bits)]), 259: (3, [1])}
    return tags | {names[name]: (3, [value]) for name, value in more.items()}


def tiff_of(samples: np.ndarray, photometric: int, *, bits: int = 8, order: str = "<", **more: int) -> bytes:
    """A TIFF of samples (h, w) or (h, w, c), whole bytes."""
    tags = tiff_tags(
        samples.shape[1], samples.shape[0], [bits] * (1 if samples.ndim == 2 else samples.shape[2]), photometric
    )
    data = samples.astype(f"{order}u{bits // 8}").tobytes()
    data = zlib.compress(data) if more.get("compression") == 8 else data
    return tiff(tags | tiff_tags(samples.shape[1], samples.shape[0], tags[258][1], photometric, **more), data, order)


def exif(orientation: int, order: str = ">") -> bytes:
    """An EXIF block that states nothing but the orientation."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(f"{order}HHLHH", 274, 3, 1, orientation, 0)
    return b"Exif\0\0" + mark + struct.pack(f"{order}LH", 8, 1) + entry + struct.pack(f"{order}L", 0)


# ---------------------------------------------------------------------------------------------------------------- GIF
def gif_frame(index: np.ndarray, *, left: int = 0, top: int = 0, transparent: int | None = None) -> bytes:
    """One frame of palette indices (h, w): 9-bit codes, the table cleared before it can grow."""
    codes = []
    for i, value in enumerate(index.ravel()):
        if i % 250 == 0:
            codes.append(256)
        codes.append(int(value))
    text = "".join(format(c, "09b")[::-1] for c in [*codes, 257])
    data = bytes(int(text[i : i + 8].ljust(8, "0")[::-1], 2) for i in range(0, len(text), 8))
    blocks = b"".join(bytes([len(data[i : i + 255])]) + data[i : i + 255] for i in range(0, len(data), 255))
    control = b"" if transparent is None else b"!\xf9\x04\x01\0\0" + bytes([transparent]) + b"\0"
    height, width = index.shape
    return control + struct.pack("<BHHHHBB", 0x2C, left, top, width, height, 0, 8) + blocks + b"\0"


def gif(width: int, height: int, palette: np.ndarray, *frames: bytes) -> bytes:
    """A GIF with a global palette of 256 colours (256, 3)."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x87 | 0x70, 0, 0)
    return head + palette.astype(np.uint8).tobytes() + b"".join(frames) + b";"
