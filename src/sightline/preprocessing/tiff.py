"""The tags of TIFF directories: sample layout, number of frames, orientation. EXIF has the same structure inside a JPEG.

TIFF 6.0 (Adobe, 1992), section 2; BigTIFF (Leffler, 2004) widens the offsets. Only whole-number tags are read here;
Pillow and libtiff decode the pixels.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Set

from .rejection import Rejected

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION = 256, 257, 258, 259, 262, 274
STRIPS, ROWS_PER_STRIP, STRIP_BYTES, PLANAR = 273, 278, 279, 284
TILE_WIDTH, TILE_HEIGHT, TILES, SAMPLE_FORMAT = 322, 323, 324, 339
DESCRIPTION = 270
MAX_FRAMES = 10_000
MAX_TAGS = 4_096  # of a directory; readers visit each in Python
MAX_TEXT = 1 << 16  # bytes of a description that are looked at
MAX_VALUES = 1 << 20  # per tag: strips or tiles of the largest image allowed
HEADERS = {b"II*\0": ("<", False), b"MM\0*": (">", False), b"II+\0": ("<", True), b"MM\0+": (">", True)}
_READ = frozenset((
    WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION, STRIPS, ROWS_PER_STRIP, STRIP_BYTES, PLANAR,
    TILE_WIDTH, TILE_HEIGHT, TILES, SAMPLE_FORMAT,
))  # fmt: skip
_SIZES = {3: "H", 4: "L", 16: "Q"}  # SHORT, LONG, LONG8
_BYTES = {
    3: 2,
    4: 4,
    5: 8,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}  # per value; 1 for all other kinds

Tags = Mapping[int, tuple[int, ...]]


def read_tags(data: bytes, wanted: Set[int] = _READ, *, most: int = MAX_VALUES) -> tuple[Tags, int]:
    """The `wanted` whole-number tags of the first directory, and the number of directories (at most `MAX_FRAMES`).

    Raises `struct.error`, `LookupError` or `OverflowError` if the bytes are not a TIFF or end early, and `Rejected` for a
    tag with more than `most` values; the default is more than any image needs.
    """
    start, order, big = _first(data)
    tags = {}
    for entry in _entries(data, start, order, big):
        tag, kind, n = _head(data, entry, order, big)
        if tag in wanted and kind in _SIZES:
            if n > most:
                raise Rejected("damaged", f"TIFF tag {tag} claims {n:,} values")
            tags[tag] = _values(data, entry, kind, order, big)
    return tags, _count(data, start, order, big)


def stated_channels(data: bytes) -> int:
    """The number of channels that ImageJ or OME state for a file of several pages; 1 where neither does."""
    start, order, big = _first(data)
    for entry in _entries(data, start, order, big):
        tag, kind, n = _head(data, entry, order, big)
        if tag == DESCRIPTION and kind == 2 and n > 8:
            (place,) = struct.unpack_from(order + ("Q" if big else "L"), data, entry + (12 if big else 8))
            text = data[place : place + min(n, MAX_TEXT)]
            pattern = rb"^channels=(\d{1,4})\s*$" if text.startswith(b"ImageJ=") else rb'\bSizeC="(\d{1,4})"'
            found = re.search(pattern, text, re.MULTILINE)
            return int(found[1]) if found else 1
    return 1


def claimed_bytes(data: bytes) -> int:
    """The total size in bytes of the tags of the first directory as they state it. Readers copy the bytes of each tag, so
    many tags that share the same bytes could fill the memory."""
    start, order, big = _first(data)
    heads = (_head(data, entry, order, big) for entry in _entries(data, start, order, big))
    return sum(n * _BYTES.get(kind, 1) for _, kind, n in heads)


def _first(data: bytes) -> tuple[int, str, bool]:
    """Offset of the first directory, byte order (as in `struct`), and whether offsets are 64 bits wide."""
    order, big = HEADERS[data[:4]]
    (start,) = struct.unpack_from(order + ("Q" if big else "L"), data, 8 if big else 4)
    return start, order, big


def _head(data: bytes, entry: int, order: str, big: bool) -> tuple[int, int, int]:
    """Tag, kind and number of values of an entry."""
    tag, kind, n = struct.unpack_from(order + ("HHQ" if big else "HHL"), data, entry)
    return tag, kind, n


def _layout(data: bytes, start: int, order: str, big: bool) -> tuple[int, int, int]:
    """Offset of the directory's entries, their number, and the place of the next directory's offset."""
    head, size = (8, 20) if big else (2, 12)
    (n,) = struct.unpack_from(order + ("Q" if big else "H"), data, start)
    return start + head, n, start + head + n * size


def _entries(data: bytes, start: int, order: str, big: bool) -> range:
    first, n, after = _layout(data, start, order, big)
    if after > len(data):
        raise struct.error("the directory extends beyond the end of the file")
    if n > MAX_TAGS:
        raise Rejected("damaged", f"TIFF directory of {n:,} tags; at most {MAX_TAGS:,} are read")
    return range(first, first + n * (20 if big else 12), 20 if big else 12)


def _values(data: bytes, entry: int, kind: int, order: str, big: bool) -> tuple[int, ...]:
    (n,) = struct.unpack_from(order + ("Q" if big else "L"), data, entry + 4)
    form = f"{order}{n}{_SIZES[kind]}"
    place = entry + (12 if big else 8)
    if struct.calcsize(form) > (8 if big else 4):
        (place,) = struct.unpack_from(order + ("Q" if big else "L"), data, place)
    return struct.unpack_from(form, data, place)


def _count(data: bytes, start: int, order: str, big: bool) -> int:
    """The number of directories in the chain that starts here, up to where it breaks or returns to an earlier one."""
    seen: set[int] = set()
    while start and start not in seen and len(seen) < MAX_FRAMES:
        if start + (8 if big else 2) > len(data):
            break
        seen.add(start)
        _, _, link = _layout(data, start, order, big)
        if link + (8 if big else 4) > len(data):
            break
        (start,) = struct.unpack_from(order + ("Q" if big else "L"), data, link)
    return len(seen)


def tiled_area(tags: Tags) -> int:
    """The pixels of all tiles, which a decoder allocates whole, however small the image is in their corner; 0 for strips,
    which are cut to the image."""
    if TILES not in tags and TILE_WIDTH not in tags:
        return 0
    (width,), (height,), (w,), (h,) = tags[WIDTH], tags[HEIGHT], tags[TILE_WIDTH], tags[TILE_HEIGHT]
    return -(-width // w) * w * -(-height // h) * h


def missing(tags: Tags) -> str:
    """What the first directory lacks to cover its image: too few strips or tiles, or too few bytes; "" if nothing.

    Pillow leaves black what no strip covers, and reads past the end of a strip that is too short.
    """
    (width,), (height,), bits = tags[WIDTH], tags[HEIGHT], tags.get(BITS, (1,))
    planes = len(bits) if tags.get(PLANAR) == (2,) else 1
    if TILES in tags:
        (w,), (h,), present = tags[TILE_WIDTH], tags[TILE_HEIGHT], len(tags[TILES])
    else:
        w, h, present = width, min(tags.get(ROWS_PER_STRIP, (height,))[0], height), len(tags[STRIPS])
    needed = -(-width // w) * -(-height // h) * planes
    if present < needed:
        return f"{present} of {needed} strips or tiles"
    row = width * sum(bits) // 8  # a lower bound: each row is padded to a byte
    if tags.get(COMPRESSION, (1,)) == (1,) and STRIP_BYTES in tags and sum(tags[STRIP_BYTES]) < row * height:
        return f"{sum(tags[STRIP_BYTES]):,} of {row * height:,} bytes of pixels"
    return ""


def orientation(exif: bytes) -> int | None:
    """The EXIF orientation, 1 to 8; 1 if there is none; None if the EXIF cannot be read."""
    try:
        tags, _ = read_tags(exif.removeprefix(b"Exif\0\0"), {ORIENTATION}, most=1)
    except (struct.error, LookupError, OverflowError, Rejected):
        return None
    values = tags.get(ORIENTATION, (1,))
    if not values:
        return None
    return values[0] if 1 <= values[0] <= 8 else (1 if values[0] == 0 else None)
