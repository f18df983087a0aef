"""Weights that others have published: where they are, what they are, and how their files come here.

The facts stand in `published.yaml`. Nothing is fetched unless the caller allows it, and only by https; what is fetched is
bounded in size, and its SHA-256 must begin as its publisher says in the file's name: 32 bits, which catch accidents.
"""

from __future__ import annotations

import hashlib
import http.client
import secrets
import urllib.error
import urllib.parse
import urllib.request
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from sightline.errors import DamagedError, ResourceError, UsageError, nearest
from sightline.storage.files import TEMPORARY, no_space

MAX_BYTES = 4 << 30  # of a download; the largest in the table has 2.4 GiB
SCHEMES = ("https",)
_SECONDS = 60  # without an answer
_PIECE = 1 << 20


class Source(NamedTuple):
    """A published file. `mean` and `std` are of pixels from 0 to 1; `resize` is the shortest side, `crop` the square from its
    centre, in pixels, None where nothing is cut; `norm_eps` of its batch norms where it is not the network's own."""

    name: str
    model: str
    url: str
    sha256: str
    licence: str
    data: str
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: int
    crop: int | None
    interpolation: str
    norm_eps: float | None

    def preprocessing(self) -> dict[str, Any]:
        """How images looked to the network that learned these weights."""
        return {key: getattr(self, key) for key in ("mean", "std", "resize", "crop", "interpolation")}


@cache
def published() -> dict[str, dict[str, Source]]:
    """Model → name of the weights → source; a publisher's default is the first of its names."""
    table = yaml.safe_load((resources.files("sightline.models") / "published.yaml").read_text(encoding="utf-8"))
    unsaid = table["unless_said"]

    def source(model: str, name: str, said: dict[str, Any]) -> Source:
        facts = unsaid["all"] | unsaid[name.split("/")[0]] | said
        pair = {key: tuple(facts[key]) for key in ("mean", "std")}
        return Source(name=name, model=model, **{**facts, **pair})

    return {
        model: {name: source(model, name, said) for name, said in of.items()} for model, of in table["weights"].items()
    }


def find(model: str, name: str) -> Source:
    """The published weights of a network by name ("torchvision" is its default there). UsageError where there are none."""
    known = published().get(model, {})
    for full, source in known.items():
        if name in (full, full.split("/")[0]):
            return source
    if not known:
        raise UsageError(f"no published weights of {model} are known", "give a file")
    raise UsageError(f"{name!r} is neither a file nor published weights of {model}", nearest(name, known))


def recognised(model: str, sha256: str) -> Source | None:
    """The source of a file that is published, by its hash; this network's where several have it."""
    every = [*published().get(model, {}).values(), *(s for of in published().values() for s in of.values())]
    return next((source for source in every if sha256.startswith(source.sha256)), None)


def fetch(source: Source, folder: Path) -> Path:
    """The file, downloaded into a temporary name in `folder`; the caller moves or removes it. ResourceError where the network
    or the disk does not do it, DamagedError where what came is something else."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{TEMPORARY}{secrets.token_hex(6)}{Path(urllib.parse.urlsplit(source.url).path).suffix}"
    try:
        sha256 = _download(source.url, path)
        if not sha256.startswith(source.sha256):
            raise DamagedError(f"{source.url} gave a file of SHA-256 {sha256[:16]}…, not {source.sha256}…", "try again")
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _require_safe(url: str) -> None:
    if urllib.parse.urlsplit(url).scheme not in SCHEMES:
        raise UsageError(f"{url} is no https address", "fetch it another way and give the file's path")


def _download(url: str, path: Path) -> str:
    """Writes what the address answers; returns its SHA-256."""
    _require_safe(url)
    digest, length = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:
            _require_safe(answer.url)  # it may have been sent on
            told = int(answer.headers.get("Content-Length") or 0)
            with no_space(path, told), open(path, "xb") as file:
                while length <= MAX_BYTES and (piece := answer.read(_PIECE)):
                    file.write(piece)
                    digest.update(piece)
                    length += len(piece)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise ResourceError(f"cannot fetch {url}: {reason}", "fetch it another way and give the file's path") from error
    if length > MAX_BYTES or (told and length != told):
        expected = f"{told:,}" if told else f"at most {MAX_BYTES:,}"
        raise DamagedError(f"{url} gave {length:,} bytes, not {expected}", "try again")
    return digest.hexdigest()
