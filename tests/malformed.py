"""Files that no decoder may accept, each of a named kind, from a seed.

`write_malformed(folder)` fills a folder with them; every one must be rejected with a reason, none may crash, hang or be
used. Things that are unusual but right (CMYK, palettes, 16 bits, EXIF, junk after the end) are not here: those have
pixels, and `contracts/test_decoder.py` says which.
"""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.handmade import chunk, exif, png, tiff, tiff_tags

Maker = Callable[[random.Random], bytes]
DEPTHS = 8
SUFFIX = {"JPEG": "jpg", "PNG": "png", "GIF": "gif", "WEBP": "webp", "BMP": "bmp", "TIFF": "tif"}


def encoded(format: str, rng: random.Random, side: int = 24) -> bytes:
    """A good small image of noise."""
    noise = np.random.default_rng(rng.getrandbits(32)).integers(0, 256, (side, side + 3, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, format, **({"lossless": True} if format == "WEBP" else {}))
    return out.getvalue()


def _bmp(width: int, height: int, *, header: int = 40, pixels: bytes = b"") -> bytes:
    body = struct.pack("<LllHHLLllLL", header, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + pixels
    return b"BM" + struct.pack("<LLL", 14 + len(body), 0, 54) + body


def _gif(width: int, height: int, *blocks: bytes) -> bytes:
    return (
        b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff" + b"".join(blocks) + b";"
    )


def _frame(corner: int, side: int) -> bytes:
    """A GIF's image descriptor and the code size; sub-blocks follow."""
    return struct.pack("<BHHHHBB", 0x2C, corner, corner, side, side, 0, 2)


def _webp(kind: bytes, body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<L", len(body) + 12) + b"WEBP" + kind + struct.pack("<L", len(body)) + body


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _jpeg_with(rng: random.Random, edit: Callable[[int, bytes], bytes]) -> bytes:
    """A good JPEG whose header segments (marker, body) were replaced by what `edit` returns."""
    data, out, place = encoded("JPEG", rng), b"\xff\xd8", 2
    while data[place + 1] != 0xDA:
        marker, (length,) = data[place + 1], struct.unpack_from(">H", data, place + 2)
        out += edit(marker, data[place + 4 : place + 2 + length])
        place += 2 + length
    return out + data[place:]


def _truncated(format: str, depth: int) -> Maker:
    def make(rng: random.Random) -> bytes:
        data = encoded(format, rng)
        return data[: len(data) * depth // (DEPTHS + 1)]

    return make


def _flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :]


def _noise(rng: random.Random, n: int) -> bytes:
    return bytes([rng.choice(b"\x01\x02abcxyz\xfe")]) + rng.randbytes(n)


def _idat(rng: random.Random) -> tuple[bytes, int, int]:
    data = encoded("PNG", rng)
    place = data.index(b"IDAT")
    return data, place, struct.unpack_from(">L", data, place - 4)[0]


def _broken_idat(rng: random.Random) -> bytes:
    """Checksums right, the compressed stream is noise."""
    return png(9, 9, 8, 2, None, chunk(b"IDAT", b"\xff" + rng.randbytes(200)))


def _short_idat(rng: random.Random) -> bytes:
    """Checksums right, but only half of the rows are there."""
    return png(9, 9, 8, 2, b"".join(b"\0" + rng.randbytes(27) for _ in range(5)))


def _late_chunk(data: bytes) -> bytes:
    """A damaged orientation behind the pixels: nobody can say which way up."""
    late = chunk(b"eXIf", exif(6)[6:])
    return data[:-12] + late[:-1] + bytes([late[-1] ^ 1]) + data[-12:]


def _text_bomb(kind: bytes, head: bytes) -> Maker:
    bomb = chunk(kind, head + zlib.compress(bytes(1 << 23), 9))
    return lambda rng: png(2, 2, 8, 0, b"\0\1\2\0\3\4", bomb)


def _in_png(fill: bytes) -> Maker:
    return lambda rng: b"\x89PNG\r\n\x1a\n" + fill


def _tiff_of(bits: int, sample_format: int) -> Maker:
    size = 4 * 4 * bits // 8
    return lambda rng: tiff(tiff_tags(4, 4, [bits], 1, sample_format=sample_format), rng.randbytes(size))


def _fixed(data: bytes) -> Maker:
    return lambda rng: data


_SQUARE = "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><rect width='9' height='9'/></svg>"
_FRAME = _frame(0, 2)
# valid and lossless: 9000 x 9000 pixels of one colour
_FLAT_WEBP = bytes.fromhex("524946461e000000574542505650384c110000002f27e3c90807d0b126f4b8ff8188e87f0000")
_TILES = {322: (3, [16]), 323: (3, [16]), 324: (4, [8]), 325: (4, [256])}  # one tile of 16 x 16

MAKERS: dict[str, tuple[str, Maker]] = {
    **{f"{f.lower()}-truncated-{d}": (SUFFIX[f], _truncated(f, d)) for f in SUFFIX for d in range(1, DEPTHS + 1)},
    "empty": ("jpg", _fixed(b"")),
    "html": ("jpg", _fixed(b"<!DOCTYPE html><html><body>404 not found</body></html>\n")),
    "text": ("png", _fixed(b"kein Bild, sondern ein Satz.\n")),
    "random-bytes": ("jpg", lambda rng: _noise(rng, rng.randrange(1, 4000))),
    "nul-bytes": ("bmp", lambda rng: bytes(rng.randrange(1, 4000))),
    "svg": ("png", _fixed(_SQUARE.encode())),
    "eps": ("jpg", _fixed(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n%%EOF\n")),
    "pdf": ("jpg", _fixed(b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n")),
    "photoshop": ("png", _fixed(b"8BPS\0\1" + bytes(20))),
    "heic": ("jpg", _fixed(b"\0\0\0\x18ftypheic" + bytes(200))),
    "icon": ("png", _fixed(b"\0\0\1\0\1\0" + bytes(60))),
    "netpbm": ("png", _fixed(b"P6 1 1 255\n\1\2\3")),
    "png-signature-only": ("png", _in_png(b"")),
    "png-crc": ("png", lambda rng: _flipped(encoded("PNG", rng), 29 + rng.randrange(4))),
    "png-pixels-crc": ("png", lambda rng: (lambda d, p, n: _flipped(d, p + 4 + rng.randrange(n)))(*_idat(rng))),
    "png-broken-pixels": ("png", _broken_idat),
    "png-half-the-rows": ("png", _short_idat),
    "png-interlaced-short": ("png", _fixed(png(9, 9, 8, 2, b"\0" * 257, interlace=1))),  # of 262 bytes
    "png-late-chunk-crc": ("png", lambda rng: _late_chunk(encoded("PNG", rng))),
    "png-no-pixels": ("png", _fixed(png(9, 9, 8, 2, None))),
    "png-no-end": ("png", lambda rng: encoded("PNG", rng)[:-12]),
    "png-no-palette": ("png", _fixed(png(2, 2, 8, 3, b"\0\0\1\0\1\0"))),
    "png-colour-beyond-palette": ("png", _fixed(png(2, 2, 8, 3, b"\0\0\1\0\1\7", chunk(b"PLTE", b"\1\2\3\4\5\6")))),
    "png-zero-width": ("png", _fixed(png(0, 5, 8, 2, b"\0" * 5))),
    "png-zero-height": ("png", _fixed(png(5, 0, 8, 2, b""))),
    "png-huge": ("png", lambda rng: png(rng.randrange(50_000, 2**31), 99_999, 8, 2, b"\0" * 99)),
    "png-one-row-bomb": ("png", _fixed(png(2**31 - 1, 1, 1, 0, b"\0" * 9))),
    "png-bad-depth": ("png", lambda rng: png(2, 2, rng.choice((0, 3, 5, 7, 32)), 2, bytes(99))),
    "png-bad-colour-type": ("png", lambda rng: png(2, 2, 8, rng.choice((1, 5, 7, 200)), bytes(99))),
    "png-text-bomb": ("png", _text_bomb(b"zTXt", b"Comment\0\0")),
    "png-international-text-bomb": ("png", _text_bomb(b"iTXt", b"Comment\0\1\0\0\0")),
    "png-profile-bomb": ("png", _text_bomb(b"iCCP", b"icc\0\0")),
    "png-endless-chunk": ("png", _in_png(struct.pack(">L", 2**31 - 1) + b"IHDR" + bytes(40))),
    "jpeg-start-only": ("jpg", _fixed(b"\xff\xd8\xff")),
    "jpeg-no-marker": ("jpg", lambda rng: b"\xff\xd8\xff\xe0\0\x04ab" + _noise(rng, 99)),
    "jpeg-no-frame": ("jpg", lambda rng: _jpeg_with(rng, lambda m, b: b"" if m == 0xC0 else _segment(m, b))),
    "jpeg-no-scan": ("jpg", lambda rng: encoded("JPEG", rng).split(b"\xff\xda")[0] + b"\xff\xd9"),
    "jpeg-no-quantisation": ("jpg", lambda rng: _jpeg_with(rng, lambda m, b: b"" if m == 0xDB else _segment(m, b))),
    "jpeg-no-end": ("jpg", lambda rng: encoded("JPEG", rng)[:-2]),
    "jpeg-segment-too-long": ("jpg", lambda rng: b"\xff\xd8\xff\xe0\xff\xf0" + rng.randbytes(300)),
    "jpeg-segment-too-short": ("jpg", lambda rng: b"\xff\xd8\xff\xdb\0\0" + encoded("JPEG", rng)[2:]),
    "jpeg-huge": (
        "jpg",
        lambda rng: _jpeg_with(
            rng, lambda m, b: _segment(m, b[:1] + b"\xff\xdc\xff\xdc" + b[5:] if m == 0xC0 else b)
        ),
    ),
    "jpeg-zero-height": (
        "jpg",
        lambda rng: _jpeg_with(rng, lambda m, b: _segment(m, b[:1] + b"\0\0" + b[3:] if m == 0xC0 else b)),
    ),
    "jpeg-twelve-bits": (
        "jpg",
        lambda rng: _jpeg_with(rng, lambda m, b: _segment(m, b"\x0c" + b[1:] if m == 0xC0 else b)),
    ),
    "jpeg-lossless-process": (
        "jpg",
        lambda rng: _jpeg_with(rng, lambda m, b: _segment(0xC3 if m == 0xC0 else m, b)),
    ),
    "gif-no-frame": ("gif", _fixed(_gif(2, 2))),
    "gif-zero-size": ("gif", _fixed(_gif(0, 0, _frame(0, 0) + b"\0"))),
    "gif-huge": ("gif", _fixed(_gif(65_535, 65_535, _FRAME + b"\2\x4c\1\0"))),
    "gif-frame-far-outside": ("gif", _fixed(_gif(2, 2, _frame(60_000, 2) + b"\0"))),
    "gif-no-codes": ("gif", _fixed(_gif(2, 2, _FRAME + b"\0"))),
    "gif-unknown-block": ("gif", lambda rng: _gif(2, 2, b"\x07" + rng.randbytes(9), _FRAME + b"\2\x4c\1\0")),
    "gif-no-trailer": ("gif", lambda rng: encoded("GIF", rng)[:-1]),
    "bmp-header-only": ("bmp", _fixed(_bmp(9, 9))),
    "bmp-huge": ("bmp", _fixed(_bmp(2**30, 2**30, pixels=bytes(99)))),
    "bmp-negative-width": ("bmp", _fixed(_bmp(-3, 3, pixels=bytes(99)))),
    "bmp-zero-size": ("bmp", _fixed(_bmp(0, 0))),
    "bmp-unknown-header": ("bmp", _fixed(_bmp(2, 2, header=77, pixels=bytes(99)))),
    "tiff-float": ("tif", _tiff_of(32, 3)),
    "tiff-double": ("tif", _tiff_of(64, 3)),
    "tiff-int32": ("tif", _tiff_of(32, 2)),
    "tiff-uint32": ("tif", _tiff_of(32, 1)),
    "tiff-int16": ("tif", _tiff_of(16, 2)),
    "tiff-int8": ("tif", _tiff_of(8, 2)),
    "tiff-planar-16": ("tif", lambda rng: tiff(tiff_tags(2, 2, [16] * 3, 2, planar=2), rng.randbytes(24))),
    "tiff-directory-beyond-end": ("tif", _fixed(b"II*\0\xff\xff\xff\x7f" + bytes(40))),
    "tiff-big-directory-beyond-everything": ("tif", _fixed(b"II+\0\x08\0\0\0" + b"\xff" * 8 + bytes(40))),
    "tiff-empty-directory": ("tif", _fixed(b"II*\0\x08\0\0\0\0\0\0\0\0\0")),
    "tiff-huge": ("tif", _fixed(tiff(tiff_tags(2**20, 2**20, [8], 1), bytes(16)))),
    "tiff-short-strip": ("tif", _fixed(tiff(tiff_tags(64, 64, [8], 1), bytes(16)))),
    "tiff-missing-strips": ("tif", lambda rng: tiff(tiff_tags(9, 900, [8], 1) | {278: (4, [9])}, rng.randbytes(8100))),
    "tiff-no-rows-per-strip": ("tif", lambda rng: tiff(tiff_tags(9, 9, [8], 1) | {278: (4, [])}, rng.randbytes(81))),
    "tiff-short-byte-count": ("tif", lambda rng: tiff(tiff_tags(9, 9, [8], 1) | {279: (4, [40])}, rng.randbytes(81))),
    "tiff-missing-tiles": ("tif", lambda rng: tiff(tiff_tags(64, 64, [8], 1) | _TILES, rng.randbytes(4096))),
    "tiff-unknown-compression": ("tif", _fixed(tiff(tiff_tags(4, 4, [8], 1, compression=4711), bytes(16)))),
    "webp-header-only": ("webp", _fixed(b"RIFF\x04\0\0\0WEBP")),
    "webp-noise": ("webp", lambda rng: _webp(b"VP8 ", rng.randbytes(200))),
    "webp-lossless-noise": ("webp", lambda rng: _webp(b"VP8L", b"\x2f" + rng.randbytes(199))),
    "webp-flat-bomb": ("webp", _fixed(_FLAT_WEBP)),
    "webp-not-webp": ("webp", _fixed(b"RIFF\x20\0\0\0WAVEfmt " + bytes(40))),
}  # fmt: skip


def _directory(path: Path, rng: random.Random) -> None:
    path.mkdir()


def _fifo(path: Path, rng: random.Random) -> None:
    os.mkfifo(path)


def _dead_link(path: Path, rng: random.Random) -> None:
    path.symlink_to("nowhere.jpg")


def _loop(path: Path, rng: random.Random) -> None:
    path.symlink_to(path.name)


def _device(path: Path, rng: random.Random) -> None:
    path.symlink_to("/dev/zero")


def _unreadable(path: Path, rng: random.Random) -> None:
    path.write_bytes(_noise(rng, 99))  # root may read it all the same; then it is still no image
    path.chmod(0)


SPECIAL: dict[str, Callable[[Path, random.Random], None]] = {
    "directory": _directory,
    "fifo": _fifo,
    "dead-link": _dead_link,
    "looping-link": _loop,
    "device": _device,
    "unreadable": _unreadable,
}
KINDS = (*SPECIAL, *MAKERS)


def write_malformed(folder: Path, count: int = 200, seed: int = 0) -> dict[str, str]:
    """Write `count` things into `folder`, all kinds in turn, again and again; name → kind. A seed gives the same bytes."""
    made = {}
    for i in range(count):
        kind, rng = KINDS[i % len(KINDS)], random.Random(f"{seed}/{i}")
        suffix = "jpg" if kind in SPECIAL else MAKERS[kind][0]
        path = folder / f"bad_{i:04d}.{suffix}"
        if kind in SPECIAL:
            SPECIAL[kind](path, rng)
        else:
            path.write_bytes(MAKERS[kind][1](rng))
        made[path.name] = kind
    return made
