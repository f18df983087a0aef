"""An archive → a folder in the cache, by the archive's SHA-256, whole or not at all.

The files are written into a folder with a temporary name, which is renamed once all of them are there; what a killed process
left is removed by the next. A folder whose files are no longer those that were written is made again.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sightline.errors import DataError, ResourceError, SightlineError
from sightline.storage.caching import cache_folder
from sightline.storage.files import TEMPORARY, make_folder, write_synced
from sightline.storage.folders import digest
from sightline.storage.locks import locked
from sightline.storage.reading import hash_regular, parse_json, read_regular, reason_of
from sightline.storage.text import printable

from .limits import Account, refuse
from .tars import OPENERS, unpack_tar
from .writing import Sink
from .zips import unpack_zip

ENDS = (".zip", ".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz")
FOREIGN = (".7z", ".rar", ".gz", ".bz2", ".xz", ".zst")
_CONTENTS = "contents.json"
_FILES = "files"
_YOUNG = 60  # seconds in which a temporary folder may not be locked yet
_MAX_CONTENTS = 1 << 28


@dataclass(frozen=True)
class Unpacked:
    """The `folder` with the files, how many there are, and their `size` in bytes."""

    folder: Path
    count: int
    size: int
    litter: int


def is_archive(name: str) -> bool:
    """Whether a file is an archive by its name, also of a kind that is not read."""
    return name.lower().endswith((*ENDS, *FOREIGN))


def stem_of(name: str) -> str:
    """The name without the end that says what kind of archive it is."""
    lower = name.lower()
    end = next((end for end in sorted((*ENDS, *FOREIGN), key=len, reverse=True) if lower.endswith(end)), "")
    return name[: len(name) - len(end)] or name


def unpack(archives: Sequence[Path]) -> Unpacked:
    """The files of one archive; or of several, each in a folder of its name. DataError for one that is damaged or not safe,
    ResourceError where the disk does not take it."""
    try:
        sums = [hash_regular(path)[1] for path in archives]
    except (OSError, ValueError) as error:
        raise DataError(f"{printable(str(archives[0]))} cannot be read: {reason_of(error)}") from error
    many = len(archives) > 1
    names = [stem_of(path.name) for path in archives]
    key = digest(json.dumps([sums, names]).encode()) if many else sums[0]
    entry = cache_folder() / "archives" / key
    if (known := _known(entry)) is not None:
        return known
    make_folder(entry.parent)
    _sweep(entry.parent)
    temporary = entry.parent / f"{TEMPORARY}{secrets.token_hex(6)}"
    temporary.mkdir()
    try:
        with locked(temporary):
            (temporary / _FILES).mkdir()
            listed: list[tuple[str, int]] = []
            litter = 0
            for path, name in zip(archives, names, strict=True):
                place = temporary / _FILES / name if many else temporary / _FILES
                place.mkdir(exist_ok=True)
                sink = Sink(place)
                _unpack_one(path, sink)
                listed += [(f"{name}/{file}" if many else file, size) for file, size in sink.files]
                litter += sink.litter
            contents = {"archives": [path.name for path in archives], "litter": litter, "files": listed}
            write_synced(temporary / _CONTENTS, json.dumps(contents).encode())
            _move(temporary, entry)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    found = _known(entry)
    if found is None:
        raise ResourceError(f"the files of {printable(archives[0].name)} did not stay in {entry}", "check the disk")
    return found


def _unpack_one(path: Path, sink: Sink) -> None:
    account = Account(path.name)
    with open(path, "rb") as file:
        magic = file.read(6)
    if magic[:4] in (b"PK\3\4", b"PK\5\6"):
        unpack_zip(path, account, sink)
    elif magic[:6] == b"7z\xbc\xaf\x27\x1c" or magic[:4] in (b"Rar!", b"\x28\xb5\x2f\xfd"):
        refuse(
            path.name, "kind: 7z, rar and zstd are not read", fix="unpack it and give the folder, or pack it as .zip"
        )
    elif magic and not any(magic.startswith(start) for start in OPENERS) and path.name.lower().endswith(".zip"):
        refuse(path.name, "damaged: not a zip file", fix="copy it again from its source")
    else:
        unpack_tar(path, account, sink)
    if not sink.files:
        refuse(path.name, "empty: it holds no files", fix="give an archive of images")


def _move(temporary: Path, entry: Path) -> None:
    """Give the folder its name; one of that name that does not verify makes room, one of another process stays."""
    if os.path.lexists(entry) and _known(entry) is None:
        aside = entry.parent / f"{TEMPORARY}{secrets.token_hex(6)}"
        os.rename(entry, aside)
        shutil.rmtree(aside, ignore_errors=True)
    with suppress(FileExistsError, OSError):
        os.rename(temporary, entry)


def _known(entry: Path) -> Unpacked | None:
    """What was unpacked before, if every file is there with its size, none was changed later, and there are no others."""
    try:
        contents = parse_json(read_regular(entry / _CONTENTS, _MAX_CONTENTS), _CONTENTS)
        files = [(str(name), int(size)) for name, size in contents["files"]]
        root = f"{entry}/{_FILES}"
        latest = os.lstat(entry / _CONTENTS).st_mtime_ns  # the list is written after the files
        for name, size in files:
            stat = os.lstat(f"{root}/{name}")
            if stat.st_size != size or stat.st_mtime_ns > latest:
                return None
        if sum(len(names) for _, _, names in os.walk(root)) != len(files):
            return None
        return Unpacked(Path(root), len(files), sum(size for _, size in files), int(contents["litter"]))
    except (OSError, ValueError, KeyError, TypeError, SightlineError):
        return None


def _sweep(parent: Path) -> None:
    """Remove what killed processes left: a temporary folder that nobody holds."""
    for folder in parent.glob(f"{TEMPORARY}*"):
        with suppress(OSError, ResourceError):
            if time.time() - folder.lstat().st_mtime > _YOUNG:
                with locked(folder):
                    shutil.rmtree(folder, ignore_errors=True)
