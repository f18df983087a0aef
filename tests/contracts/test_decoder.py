"""The decoder's promise: pixels or `Rejected`, for any bytes and any path, after bounded work, and the same from many
threads."""

from __future__ import annotations

import copy
import io
import os
import random
import signal
import struct
import tracemalloc
import warnings
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageFile

from sightline.errors import DataError
from sightline.preprocessing import containers, tiff
from sightline.preprocessing import png as png_chunks
from sightline.preprocessing.decoder import FORMATS, decode
from sightline.preprocessing.rejection import REASONS, Rejected
from tests.counting import at_most_lines
from tests.handmade import chunk, exif, gif, gif_frame, png
from tests.malformed import KINDS, SUFFIX, encoded, write_malformed

MUTANTS = 4000
MOST_LINES = 20_000  # of our code that one small file may cost; 3,300 is the most that any here does
PARTS = 1_000  # the budget of parts in the test of endless ones


@pytest.fixture
def no_hang() -> Iterator[None]:
    """SIGALRM ends a test that waits for ever, as opening a FIFO would. It judges no speed: a minute is only the patience."""

    def over(*_: object) -> None:
        raise TimeoutError("the decoder hangs")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def verdict(source: bytes | Path) -> str:
    """The reason of the rejection, or "accepted"; any other error fails the test, and so does too much work."""
    try:
        with at_most_lines(MOST_LINES):
            decode(source)
    except Rejected as rejected:
        return rejected.reason
    return "accepted"


# ---------------------------------------------------------------------------------------------------- malformed files
REASON = {
    "directory": "is-a-directory", "fifo": "not-a-regular-file", "device": "not-a-regular-file", "dead-link": "missing",
    "looping-link": "symlink-loop", "empty": "empty-file", "html": "not-an-image", "random-bytes": "not-an-image",
    "svg": "unsupported-format", "pdf": "unsupported-format", "eps": "unsupported-format", "heic": "unsupported-format",
    "png-crc": "damaged", "png-pixels-crc": "damaged", "png-broken-pixels": "damaged", "png-no-pixels": "damaged",
    "png-late-chunk-crc": "damaged", "png-half-the-rows": "truncated", "png-interlaced-short": "truncated",
    "png-no-end": "truncated", "png-zero-width": "zero-size",
    "png-huge": "too-many-pixels", "png-one-row-bomb": "too-many-pixels", "png-text-bomb": "damaged",
    "png-colour-beyond-palette": "damaged", "jpeg-no-end": "truncated", "jpeg-huge": "too-many-pixels",
    "jpeg-zero-height": "zero-size", "jpeg-no-quantisation": "damaged", "gif-no-frame": "damaged",
    "gif-huge": "too-many-pixels", "gif-frame-far-outside": "too-many-pixels", "gif-no-trailer": "truncated",
    "bmp-header-only": "truncated", "bmp-negative-width": "zero-size", "tiff-float": "float-without-range",
    "tiff-int32": "float-without-range", "tiff-int8": "float-without-range", "tiff-planar-16": "unsupported-format",
    "tiff-huge": "too-many-pixels", "tiff-short-strip": "truncated", "webp-header-only": "truncated",
    "webp-flat-bomb": "too-many-pixels",
    **{f"{f.lower()}-truncated-{d}": "truncated" for f in SUFFIX for d in range(1, 9)},
}  # fmt: skip


@pytest.mark.usefixtures("no_hang")
def test_every_malformed_file_is_rejected_with_a_reason(tmp_path: Path) -> None:
    made = write_malformed(tmp_path, count=250)
    verdicts = {(kind, verdict(tmp_path / name)) for name, kind in made.items()}
    assert {kind for kind, _ in verdicts} == set(KINDS)
    assert len(KINDS) >= 40
    assert [kind for kind, reason in verdicts if reason == "accepted"] == []
    assert {reason for _, reason in verdicts} <= set(REASONS)
    assert {(kind, reason) for kind, reason in verdicts if REASON.get(kind, reason) != reason} == set()
    unreadable = {reason for kind, reason in verdicts if kind == "unreadable"}
    assert unreadable == {"not-an-image" if os.getuid() == 0 else "unreadable"}  # root reads what nobody may


def test_malformed_files_are_a_function_of_the_seed(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "abc"]
    for folder, seed in zip(folders, (0, 0, 1), strict=True):
        folder.mkdir()
        write_malformed(folder, count=140, seed=seed)
    contents = [
        [p.read_bytes() for p in sorted(f.iterdir()) if p.is_file() and os.stat(p).st_mode & 0o400] for f in folders
    ]
    assert contents[0] == contents[1] != contents[2]


# --------------------------------------------------------------------------------------------------------------- fuzz
def seeds() -> list[bytes]:
    """Small good files of all six formats in several layouts."""
    noise = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    rgb, deep = Image.fromarray(noise), Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
    palette, rgba = rgb.quantize(8), Image.fromarray(np.dstack([noise, noise[..., 0]]))
    oriented = Image.Exif()
    oriented[274] = 6

    def saved(format: str, image: Image.Image, **options: object) -> bytes:
        out = io.BytesIO()
        image.save(out, format, **options)  # type: ignore[arg-type]
        return out.getvalue()

    return [
        *(saved("PNG", image) for image in (rgb, rgba, palette, deep)), saved("PNG", rgb, exif=oriented),
        saved("JPEG", rgb), saved("JPEG", rgb, progressive=True), saved("JPEG", rgb.convert("CMYK")),
        saved("JPEG", rgb, exif=oriented), saved("GIF", palette), saved("GIF", palette, save_all=True, append_images=[rgb]),
        saved("BMP", rgb), saved("BMP", palette), saved("WEBP", rgb), saved("WEBP", rgba, lossless=True),
        saved("WEBP", rgb, save_all=True, append_images=[rgba]), saved("TIFF", rgb), saved("TIFF", deep),
        saved("TIFF", rgb, big_tiff=True),
        *(saved("TIFF", rgb, compression=c) for c in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits")),
    ]  # fmt: skip


def mutant(data: bytes, rng: random.Random) -> bytes:
    """Bytes changed, cut out or put in; of most PNGs the checksums are made right again, so that more than those fail."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        place, kind = rng.randrange(len(out) or 1), rng.randrange(5)
        if kind < 3 and out:
            out[place] = rng.randrange(256)
        elif kind == 3:
            del out[place : place + rng.randrange(1, 9)]
        else:
            out[place:place] = rng.randbytes(rng.randrange(1, 9))
    return with_checksums(out) if out[:4] == b"\x89PNG" and rng.random() < 0.7 else bytes(out)


def with_checksums(data: bytearray) -> bytes:
    place = 8
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">L", data, place)
        if place + 12 + length > len(data):
            break
        struct.pack_into(">L", data, place + 8 + length, zlib.crc32(data[place + 4 : place + 8 + length]))
        place += 12 + length
    return bytes(data)


@pytest.mark.filterwarnings("ignore")  # Pillow warns about damaged metadata
def test_mutants_are_decoded_or_rejected(capfd: pytest.CaptureFixture[str]) -> None:
    good, rng = seeds(), random.Random(20)
    assert {decode(data).format for data in good} == set(FORMATS)
    verdicts = [verdict(mutant(rng.choice(good), rng)) for _ in range(MUTANTS)]
    capfd.readouterr()  # libtiff speaks its mind on stderr
    accepted = verdicts.count("accepted")
    assert MUTANTS * 0.05 < accepted < MUTANTS * 0.6  # neither all broken in the header nor all harmless
    assert len(set(verdicts)) > 5


@pytest.mark.parametrize(
    "make",
    [
        lambda: gif(1, 1, np.zeros((256, 3)), b"!\xfe" + b"\x01a" * 100 * PARTS + b"\0"),
        lambda: b"\xff\xd8" + b"\xff" * 100 * PARTS,
        lambda: b"\xff\xd8" + b"\xff\xe0\0\2" * 100 * PARTS,
        lambda: png(1, 1, 8, 0, b"\0\0", chunk(b"abCd", b"") * 100 * PARTS),
    ],
    ids=["gif-blocks", "jpeg-fill", "jpeg-segments", "png-chunks"],
)
def test_the_work_on_endless_small_parts_is_bounded(make: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a hundred times as many parts as the budget allows. The work is counted in lines of our code: a clock
    would judge the machine."""
    for module, budget in ((containers, "MAX_BLOCKS"), (containers, "MAX_SEGMENTS"), (png_chunks, "MAX_CHUNKS")):
        assert getattr(module, budget) <= 1_000_000
        monkeypatch.setattr(module, budget, PARTS)
    with pytest.raises(Rejected) as rejected, at_most_lines(20 * PARTS):
        decode(make())
    assert rejected.value.reason in ("damaged", "truncated")


def test_many_frames_are_counted_without_decoding_them() -> None:
    frame = gif_frame(np.zeros((1, 1), dtype=int))
    with at_most_lines(30 * 50_000):
        decoded = decode(gif(1, 1, np.zeros((256, 3)), *[frame] * 50_000))
    assert decoded.notes[0] == "first-frame-of-50000"


def test_tags_that_share_their_bytes_take_no_more_memory_than_these() -> None:
    """2 MiB of a TIFF in which fourteen tags say that all of it is theirs took 850 MiB."""
    tags, n = (256, 257, 258, 259, 262, 273, 274, 278, 279, 284, 322, 323, 324, 339), 1_000_000
    place = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHLL", tag, 3, n, place) for tag in tags)
    data = b"II*\0" + struct.pack("<LH", 8, len(tags)) + entries + bytes(4) + bytes(2 * n)
    tracemalloc.start()
    try:
        assert verdict(data) == "damaged"
        assert tracemalloc.get_traced_memory()[1] < 4 * len(data)
    finally:
        tracemalloc.stop()
    one = (
        b"II*\0"
        + struct.pack("<LH", 8, 1)
        + struct.pack("<HHLL", 273, 3, (1 << 20) + 1, 26)
        + bytes(4)
        + bytes(1 << 22)
    )
    with pytest.raises(Rejected, match="claims 1,048,577 values"):
        decode(one)


def test_exif_of_endless_tags_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four thousand orientations that share their bytes claim two billion values, which took eleven seconds."""
    count, n = 4000, 500_000
    place = 8 + 2 + 12 * count + 4
    entries = struct.pack("<HHLL", 274, 3, n, place) * count
    block = b"II*\0" + struct.pack("<LH", 8, count) + entries + bytes(4) + bytes(2 * n)
    values = 0

    def unpack_from(*args: object) -> tuple[int, ...]:
        nonlocal values
        found = struct.unpack_from(*args)  # type: ignore[arg-type]
        values += len(found)
        return found

    counting = SimpleNamespace(unpack_from=unpack_from, calcsize=struct.calcsize, error=struct.error)
    monkeypatch.setattr(tiff, "struct", counting)
    decoded = decode(png(1, 1, 8, 0, b"\0\0", chunk(b"eXIf", block)))
    assert 0 < values < 4 * count
    assert decoded.notes == ("exif-unreadable",)


def test_a_jpeg_of_endless_scans_is_rejected_before_decoding() -> None:
    """An empty scan of a progressive JPEG is 31 bytes and a walk over all its pixels."""
    pixels = np.full((2000, 2000), 128, np.uint8)
    pixels[::8, ::8] = 130
    data = saved_progressive(pixels)
    assert decode(data).pixels.shape == (2000, 2000, 3)
    start = data.rindex(b"\xff\xda")
    scan = data[start:-2]
    repeated = data[:start] + scan * 200 + data[-2:]
    assert verdict(repeated) == "too-many-pixels"
    small = saved_progressive(pixels[:64, :64])
    start = small.rindex(b"\xff\xda")
    assert verdict(small[:start] + small[start:-2] * 200 + small[-2:]) == "accepted"


def saved_progressive(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", progressive=True, quality=50)
    return out.getvalue()


# ------------------------------------------------------------------------------------------------------------- limits
def test_limits_are_inclusive() -> None:
    data = png(4, 3, 8, 0, b"\0abcd" * 3)
    assert decode(data, max_pixels=12, max_bytes=len(data)).pixels.shape == (3, 4, 3)
    with pytest.raises(Rejected) as pixels:
        decode(data, max_pixels=11)
    with pytest.raises(Rejected) as size:
        decode(data, max_bytes=len(data) - 1)
    assert (pixels.value.reason, size.value.reason) == ("too-many-pixels", "too-large-file")


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse: a terabyte that takes no room
    assert verdict(path) == "too-large-file"


def test_pillows_warning_of_a_bomb_is_an_error() -> None:
    """Between Pillow's limit and twice that it would only warn."""
    rows = zlib.compress(bytes(10_000 * 10_001), 9)
    data = png(10_000, 10_000, 8, 0, None, chunk(b"IDAT", rows))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Rejected) as error:
            decode(data, max_pixels=1 << 40)
    assert error.value.reason == "too-many-pixels"


# ------------------------------------------------------------------------------------------------------------- errors
def test_the_error_names_the_file_and_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "ein\nBild.jpg"
    path.write_bytes(b"<html>")
    with pytest.raises(DataError) as error:
        decode(path)
    assert isinstance(error.value, Rejected)
    assert error.value.exit_code == 3
    assert "ein\\u000aBild.jpg" in str(error.value)
    assert error.value.detail == "begins with b'<html>'"
    assert error.value.hint == REASONS["not-an-image"]
    copied = copy.copy(error.value)  # as it comes back from a worker process
    assert (copied.reason, copied.detail, str(copied)) == (error.value.reason, error.value.detail, str(error.value))


def test_wrong_extension_is_a_note(tmp_path: Path) -> None:
    for name, notes in (("a.jpg", ("wrong-extension",)), ("a.PNG", ()), ("a.dat", ()), ("a", ())):
        (tmp_path / name).write_bytes(encoded("PNG", random.Random(1)))
        assert decode(tmp_path / name).notes == notes


def test_links_to_files_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real.png").write_bytes(encoded("PNG", random.Random(1)))
    (tmp_path / "link.png").symlink_to("real.png")
    assert np.array_equal(decode(tmp_path / "link.png").pixels, decode(tmp_path / "real.png").pixels)


def test_arrays_of_another_kind_are_rejected() -> None:
    for array in (np.zeros((2, 2), np.float32), np.zeros((2, 2, 2), np.uint8), np.zeros(4, np.uint8)):
        with pytest.raises(Rejected) as error:
            decode(array)
        assert error.value.reason == "unsupported-format"
    with pytest.raises(Rejected) as error:
        decode(np.zeros((0, 5), np.uint8))
    assert error.value.reason == "zero-size"
    with pytest.raises(ValueError, match="channels"):
        decode(b"", channels=4)


# ------------------------------------------------------------------------------------------------------------ threads
def test_threads_see_the_same_and_change_nothing() -> None:
    rng = random.Random(5)
    work = [*seeds(), *(mutant(data, rng) for data in seeds() * 3 if data[:2] not in (b"II", b"MM"))] * 4
    work.append(encoded("JPEG", rng, 64)[:60] + exif(3))

    def answer(data: bytes) -> object:
        try:
            decoded = decode(data)
        except Rejected as rejected:
            return rejected.reason
        return decoded.pixels.tobytes(), decoded.notes

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone = [answer(data) for data in work]
        filters = list(warnings.filters)
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(answer, work))
        assert warnings.filters == filters
    assert together == alone
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    assert Image.MAX_IMAGE_PIXELS == 89_478_485


@pytest.mark.parametrize(
    "text", ["ImageJ=1.54f\nimages=3\nchannels=3\nmode=composite\n", '<OME><Pixels SizeC="2" SizeZ="1"/></OME>']
)
def test_pages_that_are_channels_are_refused_by_name(text: str) -> None:
    pages = [Image.fromarray(np.full((6, 5), value, np.uint8)) for value in (10, 20, 30)]
    out = io.BytesIO()
    pages[0].save(out, "TIFF", save_all=True, append_images=pages[1:], description=text)
    with pytest.raises(Rejected, match="whose 3 pages are") as caught:
        decode(out.getvalue())
    assert caught.value.reason == "unsupported-format" and "merge the channels" in caught.value.hint
    out = io.BytesIO()
    pages[0].save(out, "TIFF", save_all=True, append_images=pages[1:], description="ImageJ=1.54f\nimages=3\nslices=3\n")
    assert decode(out.getvalue(), channels=1).notes == ("first-frame-of-3",)
