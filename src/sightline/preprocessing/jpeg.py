"""The marker segments of a JPEG (ITU-T T.81, annex B), and which of them its pixels depend on."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from .rejection import Rejected

MAX_FILL = 1 << 16  # bytes 0xFF before markers; encoders write one or none, and Pillow reads them one by one
MAX_TABLES = 1 << 20  # bytes; a progressive JPEG has about ten thousand
SOS, EOI = 0xDA, 0xD9
SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
TABLES = frozenset((0xC4, 0xDB))  # Huffman and quantisation
METADATA = frozenset((*range(0xE0, 0xF0), 0xFE))  # APP0 to APP15 and comments
EXIF = (0xE1, b"Exif")
# Of the metadata, pixels depend on Adobe's colour transform and, for older writers, on JFIF. Pillow also needs to see that
# other pictures follow; the orientation is read here.
USED = {(0xE0, b"JFIF"), (0xEE, b"Adob"), (0xE2, b"MPF\0")}
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # in coded data 0xFF is stuffed (00), a restart (D0-D7) or fill
_FILL = re.compile(rb"\xff+")  # before a marker, any number


def segments(data: bytes, most: int) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment up to EOI, without the fill bytes before it; coded data belong to the header of
    their scan. `LookupError` or `struct.error` if the data end early."""
    place, fills = 2, 0
    for _ in range(most):
        fill = _FILL.match(data, place)
        if data[place] != 0xFF or fill is None:
            raise Rejected("damaged", f"JPEG has no marker at byte {place:,}")
        if (fills := fills + fill.end() - place - 1) > MAX_FILL:
            raise Rejected("damaged", f"JPEG with more than {MAX_FILL:,} fill bytes")
        begin, marker, place = fill.end() - 1, data[fill.end()], fill.end() + 1
        if marker == EOI:
            yield marker, begin, place
            return
        (length,) = struct.unpack_from(">H", data, place)
        place += max(length, 2)
        if marker == SOS:
            following = _MARKER.search(data, place)
            if following is None:
                raise Rejected("truncated", f"JPEG of {len(data):,} bytes has no end marker")
            place = following.start()
        yield marker, begin, place
    raise Rejected("damaged", f"more than {most:,} parts")
