"""The entries of a zip file (APPNOTE 6.3), regular files and folders only.

`zipfile` reads the directory and the data; what it lets pass is checked before it does: the number of entries, which it would
read all, overlapping data, links, encryption, and the sizes that the directory states.
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .limits import MAX_ENTRIES, Account, refuse
from .writing import PIECE, Sink

_END, _END64, _LOCATOR, _ENTRY = b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\1\2"
_MAX_DIRECTORY = 256 << 20
_REPARSE = 0x400  # Windows' attribute of links
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # `zipfile` unpacks the others without a bound on memory
_LOCAL = 30  # bytes of a local header without name and extra field
_PLAIN = (0, stat.S_IFREG, stat.S_IFDIR)


def unpack_zip(path: Path, account: Account, sink: Sink) -> None:
    """Write all files. Raises DataError for anything but regular files and folders of sound names and sizes."""
    name = account.archive
    with open(path, "rb") as file:
        _count(file, name)
        try:
            archive = zipfile.ZipFile(file)
        except Exception as error:  # parsers raise anything on hostile bytes
            refuse(name, f"damaged: {error or type(error).__name__}", fix="copy it again from its source")
        with archive:
            infos = archive.infolist()
            size = os.fstat(file.fileno()).st_size
            _check_sizes(infos, size, account)
            _check_overlaps(infos, archive.start_dir, name)
            sink.require_space(sum(info.file_size for info in infos))
            for info in infos:
                _check_kind(info, name)
            places = [(account.folder if info.is_dir() else account.file)(info.filename) for info in infos]
            for info, parts in zip(infos, places, strict=True):  # all names are sound before anything is written
                if info.is_dir():
                    sink.folder(parts)
                else:
                    sink.file(parts, _pieces(archive, info, name))


def _pieces(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> Iterator[bytes]:
    """The data of an entry, never more than the directory states."""
    length = 0
    try:
        with archive.open(info) as data:
            while piece := data.read(PIECE):
                length += len(piece)
                yield piece
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OSError, zlib.error) as error:
        refuse(name, f"damaged: {error or type(error).__name__}", info.filename, "copy it again from its source")
    if length != info.file_size:
        refuse(name, f"damaged: {length:,} of {info.file_size:,} bytes", info.filename)


def _check_sizes(infos: list[zipfile.ZipInfo], size: int, account: Account) -> None:
    """Refuse a bomb by what the directory states; an entry that states less than it holds fails its checksum."""
    total = sum(info.file_size for info in infos)
    account.check(total, min(sum(info.compress_size for info in infos), size))
    account.check_entries(len(infos), total)
    for info in infos:
        if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
            refuse(account.archive, "damaged: stored bytes of another number than stated", info.filename)


def _check_overlaps(infos: list[zipfile.ZipInfo], end: int, archive: str) -> None:
    """Refuse entries that share bytes (Fifield 2019): a few megabytes of them expand to petabytes."""
    after = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < after:
            refuse(archive, "bomb: entries that overlap", info.filename)
        name = info.orig_filename.encode("utf-8", "replace") if info.flag_bits & 0x800 else info.orig_filename
        after = info.header_offset + _LOCAL + len(name) + info.compress_size
        if after > end:
            refuse(archive, "damaged: an entry that extends into the directory", info.filename)


def _check_kind(info: zipfile.ZipInfo, archive: str) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK or info.external_attr & _REPARSE:
        refuse(archive, "link: a symbolic link", info.filename)
    if kind not in _PLAIN:
        refuse(archive, "device: a pipe, socket or device", info.filename)
    if "\0" in info.orig_filename:  # `zipfile` cuts the name there
        refuse(archive, "bad-name: a NUL", info.orig_filename)
    if info.flag_bits & 0x41:
        refuse(
            archive, "encrypted: it needs a password", info.filename, "unpack it with the password and give the folder"
        )
    if info.compress_type not in _METHODS:
        refuse(
            archive, f"compression: method {info.compress_type}; stored and deflated entries are read", info.filename
        )


def _count(file: BinaryIO, archive: str) -> None:
    """Refuse a directory of too many entries before `zipfile` reads it."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - (1 << 16) - 22, 0))
    tail = file.read()
    at = len(tail) - 22 if tail[-22:-18] == _END and tail[-2:] == b"\0\0" else tail.rfind(_END)
    try:
        length, stop = struct.unpack_from("<L", tail, at + 12)[0], size - len(tail) + at
        if tail[at - 20 : at - 16] == _LOCATOR:
            file.seek(stop - 20 - 56)
            record = file.read(56)
            if record[:4] == _END64:
                length, stop = struct.unpack_from("<Q", record, 40)[0], stop - 76
    except struct.error:
        at = -1
    if at < 0 or length > stop:
        refuse(archive, "damaged: a zip file without a directory", fix="copy it again from its source")
    file.seek(stop - length)
    count = _entries(file.read(min(length, _MAX_DIRECTORY)), archive) if length <= _MAX_DIRECTORY else MAX_ENTRIES + 1
    if count > MAX_ENTRIES:
        refuse(archive, f"bomb: more than {MAX_ENTRIES:,} entries", fix="split it into several archives")
    file.seek(0)


def _entries(directory: bytes, archive: str) -> int:
    """The number of entries, up to one more than are read."""
    at = count = 0
    while at < len(directory) and count <= MAX_ENTRIES:
        if directory[at : at + 4] != _ENTRY or at + 46 > len(directory):
            refuse(archive, "damaged: its directory is cut or garbled", fix="copy it again from its source")
        at += 46 + sum(struct.unpack_from("<HHH", directory, at + 28))
        count += 1
    return count
