"""Forty archives that try to leave the folder, to fill the disk, or to be two things at once; one function each writes it.

The names that escape point at `outside`, a folder beside the cache, so that a test sees every byte that gets there.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.tiny_data import png

Writer = Callable[[Path], Path]
PIXELS = png(1)
MILLION = 1_000_000


def hostile() -> Iterator[tuple[str, str, Writer]]:
    """(what it is, the code of its refusal, what writes it and returns its path)."""
    yield from _zips()
    yield from _tars()


# ------------------------------------------------------------------------------------------------ zip
def _zips() -> Iterator[tuple[str, str, Writer]]:
    for name, code in (
        ("../../outside/a.png", "traversal"), ("cat/../../../outside/a.png", "traversal"),
        ("..\\..\\outside\\a.png", "traversal"),
        ("/tmp/outside/a.png", "absolute"), ("C:/outside/a.png", "absolute"), ("\\\\host\\share\\a.png", "absolute"),
        ("cat/CON.png", "device"), ("aux/a.png", "device"), ("cat/a\x1b[2J.png", "bad-name"), ("cat/a\0.png", "bad-name"),
        ("cat/" * 40 + "a.png", "bad-name"), ("cat/" + "a" * 300 + ".png", "bad-name"),
    ):  # fmt: skip
        yield f"zip: {name[:30]!r}", code, _zip_of([(name, PIXELS, None)])
    for kind, code in (
        (stat.S_IFLNK, "link"),
        (stat.S_IFIFO, "device"),
        (stat.S_IFCHR, "device"),
        (stat.S_IFBLK, "device"),
    ):
        yield f"zip: kind {kind:o}", code, _zip_of([("cat/a.png", b"/etc/passwd", kind | 0o777)])
    through = [("cat", b"../../outside", stat.S_IFLNK | 0o777), ("cat/a.png", PIXELS, None)]
    yield "zip: a file through a link", "link", _zip_of(through)
    for one, two in (
        ("cat/a.png", "cat/a.png"),
        ("cat/a.png", "cat/A.png"),
        ("caf\u00e9/a.png", "cafe\u0301/b.png"),
        ("cat", "cat/a.png"),
    ):
        yield f"zip: {one!r} and {two!r}", "duplicate", _zip_of([(one, PIXELS, None), (two, PIXELS, None)])
    yield "zip: a bomb", "bomb", _zip_of([("cat/a.png", bytes(1 << 26), None)])
    yield "zip: a bomb that understates itself", "damaged", _understated
    yield "zip: entries that overlap", "bomb", _overlapping
    yield "zip: a million entries", "bomb", _many_in_zip
    yield "zip: encrypted", "encrypted", _encrypted
    yield "zip: another compression", "compression", _lzma_in_zip
    yield "zip: cut", "damaged", lambda folder: _cut(_zip_of([("cat/a.png", PIXELS, None)])(folder))


def _zip_of(entries: list[tuple[str, bytes, int | None]]) -> Writer:
    def write(folder: Path) -> Path:
        path = folder / "x.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data, mode in entries:
                info = zipfile.ZipInfo("placeholder")
                info.filename = info.orig_filename = name  # as given: the constructor would cut and turn slashes
                info.compress_type, info.create_system = zipfile.ZIP_DEFLATED, 3
                info.external_attr = (mode or stat.S_IFREG | 0o644) << 16
                archive.writestr(info, data)
        return path

    return write


def _understated(folder: Path) -> Path:
    """Both headers say that 64 MiB of zeros are 100 bytes."""
    path = _zip_of([("cat/a.png", bytes(1 << 26), None)])(folder)
    data = bytearray(path.read_bytes())
    struct.pack_into("<L", data, 22, 100)
    struct.pack_into("<L", data, data.find(b"PK\1\2") + 24, 100)
    path.write_bytes(data)
    return path


def _overlapping(folder: Path) -> Path:
    """A hundred entries with the same data."""
    path = _zip_of([(f"cat/{i:03}.png", PIXELS * 50, None) for i in range(100)])(folder)
    data = bytearray(path.read_bytes())
    at = data.find(b"PK\1\2")
    while at >= 0:
        struct.pack_into("<L", data, at + 42, 0)
        at = data.find(b"PK\1\2", at + 4)
    path.write_bytes(data)
    return path


def _many_in_zip(folder: Path) -> Path:
    """A million empty files: the directory alone, without their local headers."""
    head = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0)
    directory = (head + b"cat/0.p") * MILLION
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, MILLION, MILLION, len(directory), 4)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, 4 + len(directory), 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    path = folder / "x.zip"
    path.write_bytes(b"PK\3\4" + directory + end64 + locator + end)
    return path


def _encrypted(folder: Path) -> Path:
    path = _zip_of([("cat/a.png", PIXELS, None)])(folder)
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.find(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    return path


def _lzma_in_zip(folder: Path) -> Path:
    path = folder / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("cat/a.png", PIXELS)
    return path


def _cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-30])
    return path


# ------------------------------------------------------------------------------------------------ tar
def _tars() -> Iterator[tuple[str, str, Writer]]:
    for name, code in (
        ("../../outside/a.png", "traversal"),
        ("/tmp/outside/a.png", "absolute"),
        ("cat/nul.png", "device"),
    ):
        yield f"tar: {name}", code, _tar_of([(name, tarfile.REGTYPE, PIXELS, "")])
    for kind, code in (
        (tarfile.SYMTYPE, "link"), (tarfile.LNKTYPE, "link"), (tarfile.FIFOTYPE, "device"), (tarfile.CHRTYPE, "device"),
        (tarfile.BLKTYPE, "device"), (tarfile.GNUTYPE_SPARSE, "sparse"),
    ):  # fmt: skip
        yield f"tar: kind {kind!r}", code, _tar_of([("cat", kind, b"", "../../outside")])
    through = [("cat", tarfile.SYMTYPE, b"", "../../outside"), ("cat/a.png", tarfile.REGTYPE, PIXELS, "")]
    yield "tar: a file through a link", "link", _tar_of(through)
    twice = [("cat/a.png", tarfile.REGTYPE, PIXELS, ""), ("cat/A.PNG", tarfile.REGTYPE, PIXELS, "")]
    yield "tar: names that differ in case", "duplicate", _tar_of(twice)
    yield "tar: a path in a pax header", "traversal", _pax({"path": "../../outside/a.png"})
    yield "tar: a size in a pax header", "bad-size", _pax({"size": "-5"})
    yield "tar: a negative size", "bad-size", _negative
    for end, packed in (("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)):
        yield f"tar.{end}: a bomb", "bomb", _bomb(end, packed)
    yield "tar.gz: a million entries", "bomb", _many_in_tar
    yield "tar.gz: cut", "damaged", _cut_tar


def _tar_of(entries: list[tuple[str, bytes, bytes, str]], end: str = "tar") -> Writer:
    def write(folder: Path) -> Path:
        path = folder / f"x.{end}"
        with tarfile.open(path, "w:" + (end.partition(".")[2])) as archive:
            for name, kind, data, link in entries:
                info = tarfile.TarInfo(name)
                info.type, info.linkname, info.size = kind, link, len(data)
                archive.addfile(info, io.BytesIO(data))
        return path

    return write


def _pax(headers: dict[str, str]) -> Writer:
    def write(folder: Path) -> Path:
        path = folder / "x.tar"
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
            info = tarfile.TarInfo("cat/a.png")
            info.size, info.pax_headers = len(PIXELS), headers
            archive.addfile(info, io.BytesIO(PIXELS))
        return path

    return write


def _negative(folder: Path) -> Path:
    """CVE-2025-8194: a header whose size is -512 in base 256."""
    path = _tar_of([("cat/a.png", tarfile.REGTYPE, PIXELS, "")])(folder)
    data = bytearray(path.read_bytes())
    data[124:136] = b"\xff" + (-512).to_bytes(11, "big", signed=True)
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    path.write_bytes(data)
    return path


def _bomb(end: str, packed: Callable[[bytes], bytes]) -> Writer:
    def write(folder: Path) -> Path:
        info = tarfile.TarInfo("cat/a.png")
        info.size = 1 << 30
        part = packed(bytes(1 << 23))  # concatenated streams are one
        path = folder / f"x.tar.{end}"
        path.write_bytes(packed(info.tobuf()) + part * 128)
        return path

    return write


def _many_in_tar(folder: Path) -> Path:
    """Empty files without end, as far as a reader may have to go before it knows: the whole million takes a minute to write."""
    path = folder / "x.tar.gz"
    packer = zlib.compressobj(1, wbits=31)
    with open(path, "wb") as file:
        for i in range(1_500):
            info = tarfile.TarInfo(f"cat/{i:07}.png")
            file.write(packer.compress(info.tobuf(tarfile.USTAR_FORMAT)))
        file.write(packer.flush())
    return path


def _cut_tar(folder: Path) -> Path:
    path = _tar_of([(f"cat/{i}.png", tarfile.REGTYPE, png(i), "") for i in range(50)], "tar.gz")(folder)
    return _cut(path)
