"""The entries of a tar file, plain or compressed: POSIX ustar and pax, and GNU's long names; regular files and folders only.

Headers are walked here, for `tarfile` reads names and sparse maps of any size into memory, loops on negative sizes
(CVE-2025-8194), and its filters let links out of the folder (CVE-2025-4517). It still parses the 512 bytes of each header.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .limits import MAX_TOTAL, Account, refuse
from .writing import PIECE, Sink

_BLOCK = 512
_MAX_EXTENDED = 1 << 20  # bytes of a pax header or a long name
_COPY = "copy it again from its source"
_KINDS = {
    tarfile.LNKTYPE: "link: a hard link", tarfile.SYMTYPE: "link: a symbolic link", tarfile.CHRTYPE: "device: a device",
    tarfile.BLKTYPE: "device: a device", tarfile.FIFOTYPE: "device: a pipe", tarfile.GNUTYPE_SPARSE: "sparse: a sparse file",
    tarfile.GNUTYPE_LONGLINK: "link: a link",
}  # fmt: skip
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}


def unpack_tar(path: Path, account: Account, sink: Sink) -> None:
    """Write all files. Raises DataError for anything but regular files and folders of sound names and sizes."""
    with open(path, "rb") as raw:
        magic = raw.read(6)
        raw.seek(0)
        opener = next((opener for start, opener in OPENERS.items() if magic.startswith(start)), None)
        file: BinaryIO = raw if opener is None else opener(raw)  # type: ignore[operator]
        reader = _Reader(file, raw, account)
        _unpack(reader, account, sink)
        reader.drain()


class _Reader:
    """The unpacked bytes, each counted."""

    def __init__(self, file: BinaryIO, raw: BinaryIO, account: Account) -> None:
        self.file, self.raw, self.account = file, raw, account

    def read(self, size: int, *, payload: bool = False) -> bytes:
        """At most so many bytes; b"" at the end."""
        try:
            data = self.file.read(size)
        except (EOFError, OSError, zlib.error, lzma.LZMAError, ValueError, MemoryError) as error:
            refuse(self.account.archive, f"damaged: {error or type(error).__name__}", fix=_COPY)
        self.account.bytes(len(data), self.raw.tell(), payload=payload)
        return data

    def pieces(self, size: int, *, payload: bool = False) -> Iterator[bytes]:
        """So many bytes, whole."""
        while size:
            piece = self.read(min(size, PIECE), payload=payload)
            if not piece:
                refuse(self.account.archive, "damaged: it ends in the middle of a file", fix=_COPY)
            size -= len(piece)
            yield piece

    def exactly(self, size: int) -> bytes:
        return b"".join(self.pieces(size))

    def drain(self) -> None:
        """Read to the end, where the checksum of the compression is; what is there counts as well."""
        while self.read(PIECE):
            pass


def _unpack(reader: _Reader, account: Account, sink: Sink) -> None:
    name, size, first = "", None, True
    while (block := reader.read(_BLOCK)) and block.count(0) < _BLOCK:
        info = _header(block, account.archive, first)
        first = False
        account.entry()
        extended = info.type in (*_PAX, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME)
        if not 0 <= info.size <= (_MAX_EXTENDED if extended else MAX_TOTAL):
            refuse(account.archive, f"bad-size: {info.size:,} bytes", info.name)
        if extended:
            data = reader.exactly(-(-info.size // _BLOCK) * _BLOCK)[: info.size]
            if info.type == tarfile.GNUTYPE_LONGNAME:
                name = data.rstrip(b"\0").decode("utf-8", "surrogateescape")
            else:
                name, size = _of_records(data, info.type == tarfile.XGLTYPE, account.archive, (name, size))
            continue
        _write(reader, info, name or info.name, info.size if size is None else size, sink)
        name, size = "", None
    if len(block) < _BLOCK or name:
        refuse(account.archive, "damaged: it ends without its end mark", fix=_COPY)


def _write(reader: _Reader, info: tarfile.TarInfo, name: str, size: int, sink: Sink) -> None:
    account = reader.account
    if info.type in _KINDS or info.type not in (*_FILES, tarfile.DIRTYPE):
        refuse(account.archive, _KINDS.get(info.type, f"kind: an entry of type {info.type!r}"), name)
    if info.type == tarfile.DIRTYPE or name.endswith("/"):
        sink.folder(account.folder(name))
        size = 0 if info.type == tarfile.DIRTYPE else size
        for _ in reader.pieces(-(-size // _BLOCK) * _BLOCK):
            pass
        return
    sink.require_space(size)
    sink.file(account.file(name), reader.pieces(size, payload=True))
    reader.exactly(-size % _BLOCK)


def _header(block: bytes, archive: str, first: bool) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError) as error:
        if first:
            refuse(archive, "kind: neither a zip nor a tar file", fix="unpack it and give the folder")
        refuse(archive, f"damaged: {error}", fix=_COPY)


def _of_records(data: bytes, everywhere: bool, archive: str, before: tuple[str, int | None]) -> tuple[str, int | None]:
    """Name and size that a pax header gives the next entry. Comments and times are passed over."""
    name, size = before
    at = 0
    while at < len(data) and data[at]:
        digits, _, _ = data[at : at + 20].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        record = data[at : at + length]
        key, equals, value = record[len(digits) + 1 : -1].partition(b"=")
        if not equals or len(record) < length or record[-1:] != b"\n":
            refuse(archive, "damaged: a garbled pax header", fix=_COPY)
        at += length
        if key.startswith(b"GNU.sparse"):
            refuse(archive, "sparse: a sparse file", name)
        if key in (b"path", b"size", b"linkpath") and everywhere:
            refuse(archive, "bad-name: a name for all entries")
        if key == b"path":
            name = value.decode("utf-8", "surrogateescape")
        if key == b"size":
            size = int(value) if value.isdigit() and len(value) < 20 else -1
            if size < 0:
                refuse(archive, "bad-size: a size that is no number", name)
    return name, size
