"""The format of the bytes, and whether they are complete: a short walk through the structure of six formats.

Pillow reads pixels well but forgives too much: it never verifies the checksum of a PNG's pixel data, accepts a JPEG that
stops early and counts the frames of a GIF by decoding every one. So the structure is walked first, in time linear in
the file and without decoding anything: the size is known before memory is allocated, a missing end is noticed, and so
are foreign bytes after the end.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from . import jpeg, png, tiff
from .rejection import Rejected

MAX_SEGMENTS = 100_000  # of a JPEG
# Decoding a scan of a progressive JPEG visits every pixel, and an empty scan takes ten bytes. Encoders write about ten scans.
FREE_SCANS, SCANNED_PIXELS = 32, 1 << 29
MAX_RUNS = 1 << 22  # bytes of a run-length BMP, which Pillow decodes in Python
MAX_BLOCKS = 1_000_000  # of a GIF; 255 MB of full blocks


@dataclass(frozen=True)
class Container:
    """The structure of an image file.

    end       where the format's own structure ends; None if it does not say
    frames    None if Pillow counts them cheaply
    bits      per sample
    cover     (left, top, right, bottom): the part of the canvas that the first frame of a GIF paints
    exif      of a JPEG or a PNG; the latter may store it after its pixels, where Pillow does not look
    parts     (start, end): the bytes that the pixels of the first frame depend on; empty: all of them. Pillow is given
              nothing else, because it walks through comments and profiles in Python, some in quadratic time
    area      pixels that a decoder allocates where that is more than width x height
    """

    format: str
    width: int
    height: int
    end: int | None = None
    frames: int | None = None
    bits: int = 8
    cover: tuple[int, int, int, int] | None = None
    tags: tiff.Tags = field(default_factory=dict)
    exif: bytes | None = None
    parts: tuple[tuple[int, int], ...] = ()
    area: int = 0

    def essential(self, data: bytes) -> bytes:
        """The part of the file that its pixels depend on."""
        if not self.parts:
            return data
        view = memoryview(data)
        return b"".join(view[start:end] for start, end in self.parts)


def walk(data: bytes) -> Container:
    """The structure of the image file `data`. Raises `Rejected`."""
    if not data:
        raise Rejected("empty-file", "0 bytes")
    for format, (signature, walker) in _WALKERS.items():
        if signature.match(data):
            try:
                return walker(data)
            except (struct.error, LookupError, ValueError, ArithmeticError) as error:
                raise Rejected(
                    "truncated", f"{format} of {len(data):,} bytes ends in the middle of its structure"
                ) from error
    for prefix, name in _FOREIGN.items():
        if prefix.match(data):
            raise Rejected("unsupported-format", f"{name} is not supported")
    raise Rejected("not-an-image", f"begins with {data[:8]!r}")


def check_complete(data: bytes, container: Container) -> None:
    """Raise `Rejected` if pixels are missing and Pillow would not notice. Call it after checking the size: the work grows
    with it."""
    if container.format == "PNG":
        png.check_rows(data)
    if container.format == "TIFF" and (gap := tiff.missing(container.tags)):
        raise Rejected("truncated", f"TIFF of {container.width} x {container.height} pixels has {gap}")


def _parts(most: int) -> Iterator[None]:
    """A budget of steps: walking through a file of nothing but tiny parts must not take minutes."""
    yield from (None for _ in range(most))
    raise Rejected("damaged", f"more than {most:,} parts")


def _png(data: bytes) -> Container:
    """The header and the chunks that must be there."""
    width, height, bits, colour = struct.unpack_from(">LLBB", data, 16)
    end, kinds, exifs, parts = 8, set(), {}, [(0, 8)]
    for kind, start, body_end in png.chunks(data):
        end = body_end + 4  # after the checksum
        if kind not in exifs and (exif := png.exif_in(kind, data, start, body_end)) is not None:
            exifs[kind] = exif
        if kind not in png.ONCE or kind not in kinds:
            parts.append((start - 8, end))
        kinds.add(kind)
    for needed in (b"IDAT", b"PLTE") if colour == 3 else (b"IDAT",):
        if needed not in kinds:
            raise Rejected("damaged", f"PNG without an {needed.decode()} chunk")
    if bits == 16 and colour == 2 and b"tRNS" in kinds:
        raise Rejected("unsupported-format", "16-bit colour PNG with a transparent colour is not supported")
    exif = exifs.get(b"eXIf", next(iter(exifs.values()), None))
    return Container("PNG", width, height, end=end, bits=bits, exif=exif, parts=joined(parts))


def _jpeg(data: bytes) -> Container:
    """The segments, of which Pillow gets those that pixels depend on."""
    size, exif, parts = None, None, [(0, 2)]
    scans = tables = 0
    for marker, begin, end in jpeg.segments(data, MAX_SEGMENTS):
        if marker in jpeg.METADATA:
            label = (marker, data[begin + 4 : begin + 8])
            exif = data[begin + 4 : end] if label == jpeg.EXIF and exif is None else exif
            if label not in jpeg.USED:
                continue
        elif marker in jpeg.SOF:
            size = struct.unpack_from(">HH", data, begin + 5)
        scans += marker == jpeg.SOS
        tables += end - begin if marker in jpeg.TABLES else 0
        parts.append((begin, end))
    if size is None:
        raise Rejected("damaged", "JPEG without a frame header")
    if tables > jpeg.MAX_TABLES:
        raise Rejected("damaged", f"JPEG with {tables:,} bytes of tables; at most {jpeg.MAX_TABLES:,}")
    if scans > FREE_SCANS and scans * size[0] * size[1] > SCANNED_PIXELS:
        raise Rejected("too-many-pixels", f"JPEG with {scans:,} scans of {size[1]} x {size[0]} pixels")
    return Container("JPEG", size[1], size[0], end=parts[-1][1], exif=exif, parts=joined(parts))


def joined(parts: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Neighbouring parts as one."""
    whole: list[tuple[int, int]] = []
    for start, end in parts:
        if whole and whole[-1][1] == start:
            whole[-1] = (whole[-1][0], end)
        else:
            whole.append((start, end))
    return tuple(whole)


def _gif(data: bytes) -> Container:
    """Blocks up to the trailer (GIF89a, appendix A)."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    place = 13 + _palette_bytes(flags)
    parts = [(0, place)]
    frames, cover, budget = 0, None, _parts(MAX_BLOCKS)
    for _ in budget:
        begin = place
        if data[place] == 0x3B:  # the trailer
            break
        if data[place] == 0x2C:  # an image
            left, top, w, h, flags = struct.unpack_from("<HHHHB", data, place + 1)
            frames += 1
            place = _after_blocks(data, place + 11 + _palette_bytes(flags), budget)
            if cover is None:
                cover = (left, top, left + w, top + h)
                parts.append((begin, place))
        elif data[place] == 0x21:  # an extension
            control = data[place + 1] == 0xF9
            place = _after_blocks(data, place + 2, budget)
            if control and cover is None:  # the last one before the first image is that of the first image
                parts = [*parts[:1], (begin, place)]
        else:
            raise Rejected("damaged", f"GIF has no block at byte {place:,}")
    if cover is None:
        raise Rejected("damaged", "GIF without an image")
    size, parts = (max(width, cover[2]), max(height, cover[3])), [*parts, (place, place + 1)]
    return Container("GIF", *size, end=place + 1, frames=frames, cover=cover, parts=joined(parts))


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(data: bytes, place: int, budget: Iterator[None]) -> int:
    while data[place]:
        next(budget)
        place += data[place] + 1
    return place + 1


def _bmp(data: bytes) -> Container:
    """The information header, and whether the file holds all uncompressed rows (Microsoft, BITMAPINFOHEADER)."""
    stated, offset, header = struct.unpack_from("<L4xLL", data, 2)
    if header == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<llHHL", data, 18)
    if compression in (1, 2) and len(data) > MAX_RUNS:
        raise Rejected("unsupported-format", f"BMP with run lengths of {len(data):,} bytes is not supported")
    rows = (width * bits + 31) // 32 * 4 * abs(height) if compression in (0, 3) else 0
    if offset + rows > len(data):
        raise Rejected("truncated", f"BMP of {len(data):,} bytes; its rows need {offset + rows:,}")
    return Container("BMP", width, abs(height), end=max(stated, offset + rows))


def _webp(data: bytes) -> Container:
    """The RIFF size and the first chunk's canvas (RFC 9649)."""
    (size,) = struct.unpack_from("<L", data, 4)
    if size + 8 > len(data):
        raise Rejected("truncated", f"WebP of {len(data):,} bytes; its header says {size + 8:,}")
    if data[12:16] == b"VP8X":
        width, height = (int.from_bytes(data[i : i + 3], "little") + 1 for i in (24, 27))
    elif data[12:16] == b"VP8L":
        (word,) = struct.unpack_from("<L", data, 21)
        width, height = (word & 0x3FFF) + 1, (word >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    return Container("WEBP", width, height, end=size + 8)


def _tiff(data: bytes) -> Container:
    """The first directory. Sample layouts that Pillow would decode wrongly are rejected here."""
    if (claimed := tiff.claimed_bytes(data)) > len(data):
        raise Rejected("damaged", f"TIFF of {len(data):,} bytes whose tags claim {claimed:,}")
    tags, frames = tiff.read_tags(data)
    bits = max(tags.get(tiff.BITS, (1,)))
    if bits > 16 or max(tags.get(tiff.SAMPLE_FORMAT, (1,))) > 1:
        raise Rejected(
            "float-without-range", f"TIFF with signed, floating-point or more than 16-bit samples ({bits} bits)"
        )
    if bits > 8 and tags.get(tiff.PLANAR) == (2,):
        raise Rejected("unsupported-format", f"TIFF with {bits}-bit samples in separate planes is not supported")
    if frames > 1 and len(tags.get(tiff.BITS, (1,))) == 1 and (channels := tiff.stated_channels(data)) > 1:
        what = f"TIFF whose {frames:,} pages are {channels:,} channels of one image is not supported"
        raise Rejected("unsupported-format", what, hint="merge the channels into one page, in grey or RGB")
    (width,), (height,) = tags[tiff.WIDTH], tags[tiff.HEIGHT]
    return Container("TIFF", width, height, frames=frames, bits=bits, tags=tags, area=tiff.tiled_area(tags))


_BMP_HEADERS = rb"(?:\x0c|\x28|\x34|\x38|\x40|\x6c|\x7c)\0\0\0"
_WALKERS: dict[str, tuple[re.Pattern[bytes], Callable[[bytes], Container]]] = {
    "PNG": (re.compile(re.escape(png.SIGNATURE)), _png),
    "JPEG": (re.compile(rb"\xff\xd8\xff"), _jpeg),
    "GIF": (re.compile(rb"GIF8[79]a"), _gif),
    "BMP": (re.compile(rb"BM.{12}" + _BMP_HEADERS, re.DOTALL), _bmp),
    "WEBP": (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), _webp),
    "TIFF": (re.compile(b"|".join(re.escape(h) for h in tiff.HEADERS)), _tiff),
}
FORMATS = tuple(_WALKERS)

_FOREIGN = {
    re.compile(rb"%PDF"): "PDF",
    re.compile(rb"%!PS|\xc5\xd0\xd3\xc6"): "PostScript",
    re.compile(
        rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?(?:<!DOCTYPE svg[^>]*>\s*)?<svg", re.DOTALL
    ): "SVG",
    re.compile(rb".{4}ftyp(?:heic|heix|mif1|msf1|avif|avis)", re.DOTALL): "HEIC or AVIF",
    re.compile(rb"8BPS"): "Photoshop",
    re.compile(rb"\0\0[\1\2]\0"): "an icon",
    re.compile(rb"\0\0\0\x0c(?:jP  |JXL )|\xff\x4f\xff\x51|\xff\x0a"): "JPEG 2000 or JPEG XL",
    re.compile(rb"P[1-7]\s"): "a netpbm image",
    re.compile(rb"SIMPLE  ="): "FITS",
    re.compile(rb"DDS "): "DDS",
    re.compile(rb"v/1\x01"): "OpenEXR",
}
