"""The chunks of a PNG, each with its checksum, and whether the compressed rows are all there.

W3C PNG (third edition), sections 5 and 8. Pillow checks neither the checksums of the pixel data nor that the stream
holds as many rows as the header promises: it leaves the missing ones black.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from .rejection import Rejected

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS = 300_000
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type → samples a pixel
# Adam7: first column and row, steps between columns and rows
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIECE = 1 << 16


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of each chunk's body up to IEND, checksums checked. `struct.error`: the data ends early."""
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


def check_rows(data: bytes) -> None:
    """The compressed stream inflates to at least the bytes of all rows, or `Rejected`. Works through pieces and keeps
    none; to be called once the size is known to be bearable."""
    width, height, bits, colour, _, _, interlaced = struct.unpack_from(">LLBBBBB", data, 16)
    needed = _row_bytes(width, height, bits * _SAMPLES.get(colour, 1), bool(interlaced))
    view, inflate, have = memoryview(data), zlib.decompressobj(), 0
    try:
        for kind, start, end in chunks(data):
            rest: bytes | memoryview = view[start:end] if kind == b"IDAT" else b""
            while rest and have < needed:
                have += len(inflate.decompress(rest, _PIECE))
                rest = inflate.unconsumed_tail
        have += len(inflate.flush()) if have < needed else 0
    except zlib.error as error:
        raise Rejected("damaged", f"PNG: {error}") from error
    if have < needed:
        raise Rejected("truncated", f"PNG holds {have:,} bytes of rows; {width} x {height} pixels need {needed:,}")


def _row_bytes(width: int, height: int, bits: int, interlaced: bool) -> int:
    """Bytes of all rows, each with its filter byte."""
    total = 0
    for x, y, step_x, step_y in _PASSES if interlaced else ((0, 0, 1, 1),):
        w, h = -((x - width) // step_x), -((y - height) // step_y)
        total += h * (1 + (w * bits + 7) // 8) if w > 0 else 0
    return total
