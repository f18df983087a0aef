"""The two files of onnxruntime-web (MIT) that a page carries: from a folder, from the cache, or fetched once from npm.

They are fourteen megabytes and not part of this package.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

from sightline.errors import DamagedError, UsageError
from sightline.models.published import download
from sightline.storage.caching import cache_folder
from sightline.storage.files import make_folder, replace_file
from sightline.storage.folders import digest

VERSION = "1.30.0"
ADDRESS = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
FILES = {  # SHA-256 of the files of that version
    "ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
_LIMIT = 64 << 20  # bytes of one file in the archive


class WebRuntime(NamedTuple):
    """`script` and `binary`; `version` is known for the files with known hashes."""

    script: bytes
    binary: bytes
    version: str


def web_runtime(folder: str | Path | None = None, *, allow_network: bool = False) -> WebRuntime:
    """The files in `folder` (an unpacked npm package, or its dist), else in the cache, else fetched if that is allowed.

    A folder may hold another version; the cache and npm must give the version whose hashes are known here.
    """
    if folder is not None:
        places = [Path(folder), Path(folder) / "dist", Path(folder) / "package" / "dist"]
        place = next((p for p in places if all((p / name).is_file() for name in FILES)), None)
        if place is None:
            raise UsageError(
                f"{folder} has no {' and '.join(FILES)}", "unpack the npm package onnxruntime-web and name its folder"
            )
        return _read(place)
    place = cache_folder() / f"onnxruntime-web-{VERSION}"
    if not all((place / name).is_file() for name in FILES):
        if not allow_network:
            raise UsageError(
                "a page carries onnxruntime-web, which is not in the cache",
                "add --allow-network to fetch it from npm once, or --web-runtime FOLDER with the unpacked package",
            )
        _fetch(place)
    found = _read(place)
    if found.version != VERSION:
        raise DamagedError(f"the files in {place} are not those of onnxruntime-web {VERSION}", "remove the folder")
    return found


def _read(place: Path) -> WebRuntime:
    script, binary = ((place / name).read_bytes() for name in FILES)
    known = [digest(script), digest(binary)] == list(FILES.values())
    return WebRuntime(script, binary, VERSION if known else "unknown")


def _fetch(place: Path) -> None:
    """Download the package and keep the two files; nothing else of it is unpacked."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "package.tgz"
        download(ADDRESS, archive)
        data = archive.read_bytes()
    make_folder(place)
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as package:
            for name, expected in FILES.items():
                member = package.extractfile(f"package/dist/{name}")
                content = member.read(_LIMIT) if member is not None else b""
                if digest(content) != expected:
                    raise DamagedError(f"{ADDRESS} gave another {name} than version {VERSION} has", "try again")
                replace_file(place / name, content)
    except (tarfile.TarError, KeyError, OSError, EOFError) as error:
        raise DamagedError(f"{ADDRESS} is not the package that it should be: {error}", "try again") from error
