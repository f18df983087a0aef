"""Every way in which a file can store pixels comes out as the rule says: maximum error 0 against plain numpy.

The files are written by hand where a format allows it; the expected pixels are computed in other words than the product's
(floating point and rounding instead of whole numbers, loops over EXIF's own definition instead of flips).
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from sightline.preprocessing.decoder import decode
from tests import handmade
from tests.handmade import chunk, png_of, tiff_of

BACKGROUND = (10, 200, 31)
RNG = np.random.default_rng(7)
H, W = 11, 13
GREY, ALPHA = RNG.integers(0, 256, (2, H, W))
ALPHA[:3] = 0
ALPHA[3:5] = 255
RGB = RNG.integers(0, 256, (H, W, 3))
CMYK = RNG.integers(0, 256, (H, W, 4))
DEEP = RNG.integers(0, 65536, (H, W))
DEEP[0, :4] = (0, 65535, 128, 129)  # the ends, and both sides of the first rounding
DEEP_RGB, DEEP_ALPHA = RNG.integers(0, 65536, (H, W, 3)), RNG.integers(0, 65536, (H, W))
PALETTE = RNG.integers(0, 256, (256, 3))
OPACITY = RNG.integers(0, 256, 256)
INDEX = RNG.integers(0, 256, (H, W))


def grey(values: np.ndarray) -> np.ndarray:
    return np.stack([values] * 3, axis=2)


def scaled(values: np.ndarray, top: int = 65535) -> np.ndarray:
    """To 0-255, nearest."""
    return np.rint(values * (255.0 / top))


def over(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """On the background, nearest."""
    share = alpha[..., None] / 255.0
    return np.rint(colour * share + np.array(BACKGROUND, dtype=float) * (1 - share))


def from_cmyk(values: np.ndarray) -> np.ndarray:
    ink = values / 255.0
    return np.rint(255 * (1 - ink[..., :3]) * (1 - ink[..., 3:]))


def saved(format: str, image: Image.Image, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)  # type: ignore[arg-type]
    return out.getvalue()


def image(values: np.ndarray, mode: str | None = None) -> Image.Image:
    made = Image.fromarray(values.astype(np.uint8))
    return made if mode is None else made.convert(mode)


def _palette_image() -> Image.Image:
    made = Image.fromarray(INDEX.astype(np.uint8), "P")
    made.putpalette(PALETTE.astype(np.uint8).tobytes())
    return made


def plte(n: int = 256) -> bytes:
    return chunk(b"PLTE", PALETTE[:n].astype(np.uint8).tobytes())


def trns(*values: int, deep: bool = True) -> bytes:
    return chunk(b"tRNS", np.array(values).astype(">u2" if deep else "u1").tobytes())


def colormap(n: int = 256) -> dict[int, tuple[int, list[int]]]:
    return {320: (3, [int(v) * 257 for v in PALETTE[:n].T.ravel()])}


def keyed(hidden: np.ndarray) -> np.ndarray:
    return np.where(hidden, 0, 255)


GREY1, GREY2, GREY4 = GREY // 128, GREY // 64, GREY // 16
LA, RGBA = np.dstack([GREY, ALPHA]), np.dstack([RGB, ALPHA])
PLACED = np.zeros((H, W), dtype=int)  # a GIF frame of 5 x 6 that starts at (4, 3)
PLACED[4:9, 3:9] = 255
PART = INDEX[4:9, 3:9]
TIFF_PALETTE = handmade.tiff(handmade.tiff_tags(W, H, [8], 3) | colormap(), INDEX.astype(np.uint8).tobytes())
TIFF_1 = handmade.tiff(handmade.tiff_tags(W, H, [1], 1), b"".join(handmade.packed(r, 1) for r in GREY1))
TIFF_12 = handmade.tiff(handmade.tiff_tags(W, H, [12], 1), b"".join(handmade.packed(r, 12) for r in DEEP // 16))
TIFF_PLANES = handmade.tiff(
    handmade.tiff_tags(W, H, [8] * 3, 2, planar=2) | {273: (4, [8, 8 + H * W, 8 + 2 * H * W]), 279: (4, [H * W] * 3)},
    RGB.transpose(2, 0, 1).astype(np.uint8).tobytes(),
)
GIF_FRAMES = (handmade.gif_frame(INDEX), handmade.gif_frame(INDEX[::-1]), handmade.gif_frame(INDEX[:, ::-1]))


class Case(NamedTuple):
    data: bytes
    expected: np.ndarray
    mode: str
    notes: tuple[str, ...] = ()


SCALED, HIGH, OVER, FIRST = "16-bit-scaled", "16-bit-high-byte", "alpha-composited", "first-frame-of-3"
CASES = {
    "png-grey": Case(png_of(GREY, 8, 0), grey(GREY), "L"),
    "png-grey-1": Case(png_of(GREY1, 1, 0), grey(GREY1 * 255), "1"),
    "png-grey-2": Case(png_of(GREY2, 2, 0), grey(GREY2 * 85), "L"),
    "png-grey-4": Case(png_of(GREY4, 4, 0), grey(GREY4 * 17), "L"),
    "png-grey-16": Case(png_of(DEEP, 16, 0), grey(scaled(DEEP)), "I;16", (SCALED,)),
    "png-grey-alpha": Case(png_of(LA, 8, 4), over(grey(GREY), ALPHA), "LA", (OVER,)),
    "png-grey-alpha-16": Case(
        png_of(np.dstack([DEEP, DEEP_ALPHA]), 16, 4), over(grey(DEEP // 256), DEEP_ALPHA // 256), "RGBA", (HIGH, OVER)
    ),
    "png-rgb": Case(png_of(RGB, 8, 2), RGB, "RGB"),
    "png-rgb-interlaced": Case(png_of(RGB, 8, 2, interlace=True), RGB, "RGB"),
    "png-grey-1-interlaced": Case(png_of(GREY1, 1, 0, interlace=True), grey(GREY1 * 255), "1"),
    "png-rgb-16": Case(png_of(DEEP_RGB, 16, 2), DEEP_RGB // 256, "RGB", (HIGH,)),
    "png-rgba": Case(png_of(RGBA, 8, 6), over(RGB, ALPHA), "RGBA", (OVER,)),
    "png-rgba-opaque": Case(png_of(np.dstack([RGB, np.full((H, W), 255)]), 8, 6), RGB, "RGBA"),
    "png-rgba-16": Case(
        png_of(np.dstack([DEEP_RGB, DEEP_ALPHA]), 16, 6), over(DEEP_RGB // 256, DEEP_ALPHA // 256), "RGBA", (HIGH, OVER)
    ),
    "png-palette": Case(png_of(INDEX, 8, 3, plte()), PALETTE[INDEX], "P", ("palette",)),
    "png-palette-1": Case(png_of(INDEX % 2, 1, 3, plte(2)), PALETTE[INDEX % 2], "P", ("palette",)),
    "png-palette-4": Case(png_of(INDEX % 16, 4, 3, plte(16)), PALETTE[INDEX % 16], "P", ("palette",)),
    "png-palette-alpha": Case(
        png_of(INDEX, 8, 3, plte(), trns(*OPACITY, deep=False)),
        over(PALETTE[INDEX], OPACITY[INDEX]), "P", ("palette", OVER),
    ),
    "png-palette-alpha-for-some": Case(
        png_of(INDEX, 8, 3, plte(), trns(*OPACITY[:100], deep=False)),
        over(PALETTE[INDEX], np.where(INDEX < 100, OPACITY[INDEX], 255)), "P", ("palette", OVER),
    ),
    "png-palette-one-hidden": Case(
        png_of(INDEX, 8, 3, plte(), trns(*[255] * INDEX[2, 3], 0, deep=False)),
        over(PALETTE[INDEX], keyed(INDEX[2, 3] == INDEX)), "P", ("palette", OVER),
    ),
    "png-grey-key": Case(
        png_of(GREY, 8, 0, trns(GREY[5, 5])), over(grey(GREY), keyed(GREY[5, 5] == GREY)), "L", (OVER,)
    ),
    "png-grey-2-key": Case(png_of(GREY2, 2, 0, trns(2)), over(grey(GREY2 * 85), keyed(GREY2 == 2)), "L", (OVER,)),
    "png-grey-1-key": Case(png_of(GREY1, 1, 0, trns(1)), over(grey(GREY1 * 255), keyed(GREY1 == 1)), "1", (OVER,)),
    "png-grey-16-key": Case(
        png_of(DEEP, 16, 0, trns(DEEP[5, 5])),
        over(grey(scaled(DEEP)), keyed(DEEP[5, 5] == DEEP)), "I;16", (SCALED, OVER),
    ),
    "png-rgb-key": Case(
        png_of(RGB, 8, 2, trns(*RGB[5, 5])), over(RGB, keyed((RGB[5, 5] == RGB).all(2))), "RGB", (OVER,)
    ),
    "tiff-grey": Case(tiff_of(GREY, 1), grey(GREY), "L"),
    "tiff-white-is-zero": Case(tiff_of(GREY, 0), grey(255 - GREY), "L"),
    "tiff-grey-1": Case(TIFF_1, grey(GREY1 * 255), "1"),
    "tiff-grey-12": Case(TIFF_12, grey(scaled(DEEP // 16, 4095)), "I;16", ("12-bit-scaled",)),
    "tiff-grey-16": Case(tiff_of(DEEP, 1, bits=16), grey(scaled(DEEP)), "I;16", (SCALED,)),
    "tiff-grey-16-big-endian": Case(tiff_of(DEEP, 1, bits=16, order=">"), grey(scaled(DEEP)), "I;16B", (SCALED,)),
    "tiff-grey-16-deflated": Case(tiff_of(DEEP, 1, bits=16, compression=8), grey(scaled(DEEP)), "I;16", (SCALED,)),
    "tiff-grey-16-white-is-zero": Case(tiff_of(DEEP, 0, bits=16), grey(255 - scaled(DEEP)), "I;16", (SCALED,)),
    "tiff-grey-alpha": Case(tiff_of(LA, 1, extra=2), over(grey(GREY), ALPHA), "LA", (OVER,)),
    "tiff-rgb": Case(tiff_of(RGB, 2), RGB, "RGB"),
    "tiff-rgb-planes": Case(TIFF_PLANES, RGB, "RGB"),
    "tiff-rgb-16": Case(tiff_of(DEEP_RGB, 2, bits=16), DEEP_RGB // 256, "RGB", (HIGH,)),
    "tiff-rgb-16-big-endian": Case(tiff_of(DEEP_RGB, 2, bits=16, order=">"), DEEP_RGB // 256, "RGB", (HIGH,)),
    "tiff-rgb-16-deflated": Case(tiff_of(DEEP_RGB, 2, bits=16, compression=8), DEEP_RGB // 256, "RGB", (HIGH,)),
    "tiff-grey-16-big-endian-deflated": Case(
        tiff_of(DEEP, 1, bits=16, order=">", compression=8), grey(scaled(DEEP)), "I;16B", (SCALED,)
    ),
    "tiff-rgb-16-big-endian-deflated": Case(
        tiff_of(DEEP_RGB, 2, bits=16, order=">", compression=8), DEEP_RGB // 256, "RGB", (HIGH,)
    ),
    "tiff-white-is-zero-deflated": Case(tiff_of(GREY, 0, compression=8), grey(255 - GREY), "L"),
    "tiff-grey-16-white-is-zero-deflated": Case(
        tiff_of(DEEP, 0, bits=16, compression=8), grey(255 - scaled(DEEP)), "I;16", (SCALED,)
    ),
    "tiff-rgba": Case(tiff_of(RGBA, 2, extra=2), over(RGB, ALPHA), "RGBA", (OVER,)),
    "tiff-cmyk": Case(tiff_of(CMYK, 5), from_cmyk(CMYK), "CMYK", ("cmyk-converted",)),
    "tiff-palette": Case(TIFF_PALETTE, PALETTE[INDEX], "P", ("palette",)),
    "tiff-lzw": Case(saved("TIFF", image(RGB), compression="tiff_lzw"), RGB, "RGB"),
    "tiff-pages": Case(
        saved("TIFF", image(RGB), save_all=True, append_images=[image(RGB[::-1])] * 2), RGB, "RGB", (FIRST,)
    ),
    "gif": Case(handmade.gif(W, H, PALETTE, handmade.gif_frame(INDEX)), PALETTE[INDEX], "P", ("palette",)),
    "gif-hidden": Case(
        handmade.gif(W, H, PALETTE, handmade.gif_frame(INDEX, transparent=INDEX[1, 1])),
        over(PALETTE[INDEX], keyed(INDEX[1, 1] == INDEX)), "P", ("palette", OVER),
    ),
    "gif-grey-ramp": Case(
        handmade.gif(W, H, grey(np.arange(256)[None])[0], handmade.gif_frame(INDEX, transparent=INDEX[1, 1])),
        over(grey(INDEX), keyed(INDEX[1, 1] == INDEX)), "L", (OVER,),
    ),
    "gif-frames": Case(handmade.gif(W, H, PALETTE, *GIF_FRAMES), PALETTE[INDEX], "P", (FIRST, "palette")),
    "gif-part-of-canvas": Case(
        handmade.gif(W, H, PALETTE, handmade.gif_frame(PART, left=3, top=4)),
        over(PALETTE[INDEX], PLACED), "P", ("palette", OVER),
    ),
    "bmp": Case(saved("BMP", image(RGB)), RGB, "RGB"),
    "bmp-grey": Case(saved("BMP", image(GREY)), grey(GREY), "L"),
    "bmp-1": Case(saved("BMP", image(GREY1 * 255, "1")), grey(GREY1 * 255), "1"),
    "bmp-palette": Case(saved("BMP", _palette_image()), PALETTE[INDEX], "P", ("palette",)),
    "webp": Case(saved("WEBP", image(RGB), lossless=True), RGB, "RGB"),
    "webp-alpha": Case(saved("WEBP", image(RGBA), lossless=True), over(RGB, ALPHA), "RGBA", (OVER,)),
    "webp-frames": Case(
        saved("WEBP", image(RGB), lossless=True, save_all=True, append_images=[image(RGB[::-1]), image(RGB[:, ::-1])]),
        RGB, "RGBA", (FIRST,),
    ),
    "png-frames": Case(
        saved("PNG", image(RGB), save_all=True, append_images=[image(RGB[::-1]), image(RGB[:, ::-1])]),
        RGB, "RGB", (FIRST,),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_maximum_error_zero(name: str) -> None:
    case = CASES[name]
    decoded = decode(case.data, background=BACKGROUND)
    assert decoded.pixels.dtype == np.uint8
    assert decoded.pixels.shape == (H, W, 3)
    assert np.abs(decoded.pixels.astype(int) - case.expected).max() == 0
    assert (decoded.mode, decoded.notes) == (case.mode, case.notes)
    assert decoded.format == name.split("-")[0].upper()


@pytest.mark.parametrize("name", CASES)
def test_grey_is_luminance(name: str) -> None:
    """One channel: ITU-R 601, which is what Pillow's L is, and grey stays what it was."""
    case = CASES[name]
    pixels = decode(case.data, background=BACKGROUND, channels=1).pixels
    assert pixels.shape == (H, W, 1)
    reference = np.asarray(Image.fromarray(case.expected.astype(np.uint8)).convert("L"))
    assert np.array_equal(pixels[..., 0], reference)


def test_luminance_of_every_kind_of_colour() -> None:
    """Pillow's L is rounded from 0.299 R + 0.587 G + 0.114 B."""
    r, g, b = CASES["png-rgb"].expected.reshape(-1, 3).T
    pixels = decode(CASES["png-rgb"].data, channels=1).pixels.ravel()
    assert np.abs(pixels - (0.299 * r + 0.587 * g + 0.114 * b)).max() <= 0.5 + 1e-2


def test_every_sixteen_bit_value() -> None:
    values = np.arange(65536).reshape(256, 256)
    pixels = decode(png_of(values, 16, 0), channels=1).pixels[..., 0]
    assert np.array_equal(pixels, np.rint(values / 257))


def test_every_colour_under_every_alpha() -> None:
    colour, alpha = np.meshgrid(np.arange(256), np.arange(256))
    pixels = decode(png_of(np.dstack([colour, alpha]), 8, 4), background=BACKGROUND).pixels
    assert np.array_equal(pixels, over(grey(colour), alpha))


# ------------------------------------------------------------------------------------------------------------- EXIF
# orientation → the visual side of the stored row 0, and of the stored column 0 (EXIF 2.3, tag 0x0112)
SIDES = {
    1: ("top", "left"), 2: ("top", "right"), 3: ("bottom", "right"), 4: ("bottom", "left"),
    5: ("left", "top"), 6: ("right", "top"), 7: ("right", "bottom"), 8: ("left", "bottom"),
}  # fmt: skip


def upright(stored: np.ndarray, orientation: int) -> np.ndarray:
    """Pixel by pixel from EXIF's words."""
    rows, columns = stored.shape[:2]
    swapped = SIDES[orientation][0] in ("left", "right")
    out = np.zeros((columns, rows, 3) if swapped else (rows, columns, 3), dtype=stored.dtype)
    height, width = out.shape[:2]
    for r in range(rows):
        for c in range(columns):
            at: dict[str, int] = {}
            for side, steps in zip(SIDES[orientation], (r, c), strict=True):
                place = {"top": steps, "bottom": height - 1 - steps, "left": steps, "right": width - 1 - steps}[side]
                at["y" if side in ("top", "bottom") else "x"] = place
            out[at["y"], at["x"]] = stored[r, c]
    return out


def _jpeg(orientation: int) -> tuple[bytes, np.ndarray]:
    plain = saved("JPEG", image(RGB), quality=95)
    stored = np.asarray(Image.open(io.BytesIO(plain)))
    body = handmade.exif(orientation)
    return plain[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + plain[2:], stored


def _png_then(late: bytes) -> bytes:
    """A chunk between the pixels and the end."""
    whole = png_of(RGB, 8, 2)
    return whole[:-12] + late + whole[-12:]


def _profile(orientation: int) -> bytes:
    """EXIF in hexadecimal lines, as ImageMagick wrote it: a name, a length, 36 bytes a line."""
    body = handmade.exif(orientation)
    lines = [body[i : i + 36].hex() for i in range(0, len(body), 36)]
    return "\n".join(["", "exif", f"{len(body):8d}", *lines, ""]).encode()


ORIENTED: dict[str, Callable[[int], tuple[bytes, np.ndarray]]] = {
    "JPEG": _jpeg,
    "PNG": lambda o: (png_of(RGB, 8, 2, chunk(b"eXIf", handmade.exif(o, "<")[6:])), RGB),
    "PNG, behind the pixels": lambda o: (_png_then(chunk(b"eXIf", handmade.exif(o)[6:])), RGB),
    "PNG, as text": lambda o: (_png_then(chunk(b"tEXt", b"Raw profile type exif\0" + _profile(o))), RGB),
    "PNG, as packed text": lambda o: (
        png_of(RGB, 8, 2, chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(_profile(o)))),
        RGB,
    ),
    "WEBP": lambda o: (saved("WEBP", image(RGB), lossless=True, exif=handmade.exif(o)), RGB),
    "TIFF": lambda o: (tiff_of(RGB, 2, orientation=o), RGB),
    "TIFF deflated": lambda o: (tiff_of(RGB, 2, orientation=o, compression=8), RGB),
}


@pytest.mark.parametrize("orientation", SIDES)
@pytest.mark.parametrize("format", ORIENTED)
def test_exif_orientation(format: str, orientation: int) -> None:
    data, stored = ORIENTED[format](orientation)
    decoded = decode(data)
    assert np.array_equal(decoded.pixels, upright(stored, orientation))
    assert decoded.notes == (("exif-rotated",) if orientation > 1 else ())


def test_a_png_with_two_exifs_has_the_standards() -> None:
    text = chunk(b"tEXt", b"Raw profile type exif\0" + _profile(3))
    data = png_of(RGB, 8, 2, text, chunk(b"eXIf", handmade.exif(6)[6:]))
    assert np.array_equal(decode(data).pixels, upright(RGB, 6))


@pytest.mark.parametrize("text", [b"", b"\nexif\n  9\nnot hexadecimal", b"\n" * 9])
def test_broken_exif_in_a_pngs_text_is_said(text: bytes) -> None:
    decoded = decode(png_of(RGB, 8, 2, chunk(b"tEXt", b"Raw profile type exif\0" + text)))
    assert np.array_equal(decoded.pixels, RGB)
    assert decoded.notes == ("exif-unreadable",)


@pytest.mark.parametrize("block", [b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", handmade.exif(77), b"x"])
def test_broken_exif_is_said_and_the_image_used(block: bytes) -> None:
    decoded = decode(saved("WEBP", image(RGB), lossless=True, exif=block))
    assert np.array_equal(decoded.pixels, RGB)
    assert decoded.notes == ("exif-unreadable",)


# ------------------------------------------------------------------------------------------- lossy: the rule is stated
def test_jpeg_is_libjpegs() -> None:
    data = saved("JPEG", image(RGB), quality=90)
    assert np.array_equal(decode(data).pixels, np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("ink", [(0, 0, 0, 0), (255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 255, 0), (30, 60, 90, 120)])
def test_cmyk_jpeg_is_read_as_stored_inverted(ink: tuple[int, int, int, int]) -> None:
    flat = Image.new("CMYK", (16, 16), ink)
    data = saved("JPEG", flat, quality=100, subsampling=0)
    decoded = decode(data)
    assert decoded.notes == ("cmyk-converted",)
    assert np.array_equal(decoded.pixels, from_cmyk(np.asarray(Image.open(io.BytesIO(data)), dtype=float)))
    assert np.abs(decoded.pixels - from_cmyk(np.array(ink, dtype=float)[None, None])).max() <= 2


def test_multi_picture_jpeg_gives_its_first() -> None:
    data = saved("MPO", image(RGB), save_all=True, append_images=[image(RGB[::-1])], quality=95)
    decoded = decode(data)
    assert np.array_equal(decoded.pixels, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    assert (decoded.format, decoded.notes) == ("JPEG", ("first-frame-of-2",))


@pytest.mark.parametrize("name", ["png-rgb", "gif", "bmp", "webp", "jpeg"])
def test_junk_after_the_end_is_noted(name: str) -> None:
    data = saved("JPEG", image(RGB)) if name == "jpeg" else CASES[name].data
    plain, junk = decode(data), decode(data + b"<script>junk</script>")
    assert np.array_equal(plain.pixels, junk.pixels)
    assert junk.notes == tuple(sorted([*plain.notes, "junk-after-end"]))


# -------------------------------------------------------------------------------------------------- pixels in memory
def test_arrays_are_taken_as_they_are() -> None:
    grey8, rgb8, rgba8 = (a.astype(np.uint8) for a in (GREY, RGB, RGBA))
    assert np.array_equal(decode(grey8).pixels, grey(grey8))
    assert np.array_equal(decode(grey8[..., None], channels=1).pixels, grey8[..., None])
    assert np.array_equal(decode(rgb8).pixels, rgb8)
    assert np.array_equal(decode(rgb8, channels=1).pixels, decode(CASES["png-rgb"].data, channels=1).pixels)
    assert np.array_equal(decode(rgba8, background=BACKGROUND).pixels, over(RGB, ALPHA))
    assert decode(rgba8).notes == ("alpha-composited",)
