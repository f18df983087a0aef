"""The chunks of a PNG, each with its checksum, and whether the compressed rows are complete.

W3C PNG (third edition), sections 5 and 8. Pillow verifies neither the checksums of the pixel data nor that the
stream holds as many rows as the header states: it leaves missing ones black.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from .rejection import Rejected

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS = 300_000
MAX_EXIF = 1 << 20
ONCE = {b"iCCP", b"eXIf", b"sRGB", b"gAMA", b"cHRM", b"pHYs"}  # may be there once; a reader would unpack each again
_PROFILE = b"Raw profile type exif\0"  # in hexadecimal, as written before the standard had eXIf (2017)
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type → samples a pixel
_PIECE = 1 << 16


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of each chunk's body up to IEND, checksums verified. `struct.error` if the data ends early."""
    view, place = memoryview(data), len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        length, kind = struct.unpack_from(">L4s", data, place)
        start, end = place + 8, place + 8 + length
        (stated,) = struct.unpack_from(">L", data, end)
        if zlib.crc32(view[place + 4 : end]) != stated:
            raise Rejected("damaged", f"PNG chunk {kind!r} at byte {place:,} fails its checksum")
        yield kind, start, end
        place = end + 4
        if kind == b"IEND":
            return
    raise Rejected("damaged", f"PNG of more than {MAX_CHUNKS:,} chunks")


def exif_in(kind: bytes, data: bytes, start: int, end: int) -> bytes | None:
    """The EXIF in a chunk; b"" if it cannot be read, None if the chunk holds none."""
    if kind == b"eXIf":
        return data[start:end]
    if kind not in (b"tEXt", b"zTXt") or not data.startswith(_PROFILE, start, end):
        return None
    try:
        text = data[start + len(_PROFILE) : end]
        text = zlib.decompressobj().decompress(text[1:], MAX_EXIF) if kind == b"zTXt" else text
        return bytes.fromhex("".join(text.decode("latin-1").split("\n")[3:]))  # after its name and its length
    except (ValueError, zlib.error):
        return b""


def check_rows(data: bytes) -> None:
    """Raise `Rejected` unless the compressed stream inflates to at least the bytes of all rows. It is inflated piece by
    piece and nothing is kept; call it after checking the size, which bounds the work."""
    width, height, bits, colour = struct.unpack_from(">LLBB", data, 16)
    # Each row has a filter byte. Interlaced images need slightly more; Pillow notices if only that is missing.
    needed = height * (1 + (width * bits * _SAMPLES.get(colour, 1) + 7) // 8)
    view, inflate, have = memoryview(data), zlib.decompressobj(), 0
    try:
        for kind, start, end in chunks(data):
            if kind != b"IDAT":
                continue
            for place in range(start, end, _PIECE):  # the inflater copies what it has not used yet, at every call
                rest: bytes | memoryview = view[place : min(place + _PIECE, end)]
                while rest and have < needed and not inflate.eof:
                    have += len(inflate.decompress(rest, _PIECE))
                    rest = inflate.unconsumed_tail
            if have >= needed or inflate.eof:
                break
        have += len(inflate.flush()) if have < needed else 0
    except zlib.error as error:
        raise Rejected("damaged", f"PNG: {error}") from error
    if have < needed:
        raise Rejected("truncated", f"PNG holds {have:,} bytes of rows; {width} x {height} pixels need {needed:,}")
