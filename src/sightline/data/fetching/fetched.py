"""Files at addresses in the cache: each content once, by its SHA-256, and for each address what it gave and when.

What an address gave once is used from then on, without the network, so that a run finds its data again; its note says how to
fetch it anew. A table is fetched with the images that it names beside or below it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from sightline.errors import SightlineError
from sightline.storage.caching import cache_folder
from sightline.storage.files import TEMPORARY, make_folder, no_space, replace_file
from sightline.storage.folders import digest
from sightline.storage.reading import parse_json, read_regular
from sightline.storage.text import printable

from .addresses import WEB, name_of, remark, require_address, require_permission, scheme_of, shown
from .client import pieces

MAX_DATA = 1 << 37  # bytes of an archive or a Parquet file
MAX_TABLE = 1 << 28
MAX_IMAGE = 1 << 28
_MAGIC = {b"PK\3\4": ".zip", b"PAR1": ".parquet", b"\x1f\x8b": ".tar.gz", b"BZh": ".tar.bz2", b"\xfd7zXZ": ".tar.xz"}
_ENDS = (".zip", ".parquet", ".gz", ".tgz", ".bz2", ".xz", ".tar", ".csv", ".tsv", ".jsonl", ".json")
_WORKERS = 8


class Fetched(NamedTuple):
    """A file at an address: its `path` in the cache, and a `note` on where it is from."""

    path: Path
    note: str


def fetch(address: str, *, allow_network: bool, most: int = MAX_DATA) -> Fetched:
    """The file at an address, from the cache or, if that is allowed, from the network. UsageError without permission,
    ResourceError where the network fails, DataError for what is not there or too large."""
    require_address(address)
    index = cache_folder() / "addresses" / f"{digest(address.encode())[:32]}.json"
    if (known := _known(index)) is not None:
        return known
    require_permission(address, allow_network)
    place = cache_folder() / "fetched"
    make_folder(place)
    make_folder(index.parent)
    temporary = place / f"{TEMPORARY}{secrets.token_hex(6)}"
    try:
        sha256, size, head = _write(address, temporary, most)
        name = _with_end(name_of(address), head)
        folder = place / sha256
        make_folder(folder)
        os.replace(temporary, folder / name)
    finally:
        temporary.unlink(missing_ok=True)
    origin = {"address": shown(address), "sha256": sha256, "name": name, "bytes": size, "at": time.strftime("%Y-%m-%d")}
    replace_file(index, json.dumps(origin).encode())
    why = remark(address)
    return Fetched(folder / name, f"fetched {shown(address)}: {size:,} bytes{f'; {why}' if why else ''}")


def _write(address: str, path: Path, most: int) -> tuple[str, int, bytes]:
    """Write what the address gives; its SHA-256, size and first bytes."""
    state, size, head = hashlib.sha256(), 0, b""
    with no_space(path, 0), open(path, "xb") as file:
        for piece in pieces(address, most):
            file.write(piece)
            state.update(piece)
            size += len(piece)
            head = head or piece[:8]
    return state.hexdigest(), size, head


def _known(index: Path) -> Fetched | None:
    """What the address gave before, if it is still there whole in size."""
    try:
        origin = parse_json(read_regular(index, 1 << 16), index.name)
        path = cache_folder() / "fetched" / str(origin["sha256"]) / Path(str(origin["name"])).name
        if os.stat(path).st_size != origin["bytes"]:
            return None
        note = f"{printable(str(origin['address']))} as fetched on {origin['at']}; to fetch it again remove {index}"
        return Fetched(path, note)
    except (OSError, ValueError, KeyError, TypeError, SightlineError):
        return None


def _with_end(name: str, head: bytes) -> str:
    """The name, with the end that its content calls for where it has none that is known."""
    if name.lower().endswith(_ENDS):
        return name
    return name + next((end for magic, end in _MAGIC.items() if head.startswith(magic)), "")


def fetch_beside(address: str, names: list[str], folder: Path, *, allow_network: bool) -> list[str]:
    """Fetch the files `names`, relative to the folder of `address`, into `folder` under the same names; returns those that
    could not be had. Files that are there already are not fetched again."""
    base = address.partition("#")[0].partition("?")[0].rpartition("/")[0]

    def one(name: str) -> str | None:
        if os.path.isfile(folder / name):
            return None
        try:
            data = b"".join(pieces(f"{base}/{quote(name) if scheme_of(address) in WEB else name}", MAX_IMAGE))
        except SightlineError:
            return name
        make_folder((folder / name).parent)
        replace_file(folder / name, data)
        return None

    todo = [name for name in names if not os.path.isfile(folder / name)]
    if todo:
        require_permission(address, allow_network)
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="fetch") as pool:
        return [name for name in pool.map(one, todo) if name is not None]
