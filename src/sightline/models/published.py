"""Published weights: their URLs, their facts, and the download of their files.

Facts are in `published.yaml`. Nothing is fetched unless the caller allows it, and only over https; downloads are
bounded in size, and their SHA-256 must begin as the publisher's file name says: 32 bits, which catch accidents, not
attacks.
"""

from __future__ import annotations

import hashlib
import http.client
import secrets
import urllib.error
import urllib.parse
import urllib.request
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from sightline.errors import DamagedError, ResourceError, UsageError, nearest
from sightline.storage.files import TEMPORARY, no_space

MAX_BYTES = 4 << 30  # limit of a download; the largest file in the table has 2.4 GiB
SCHEMES = ("https",)
_PACKAGE = "package:"
_SECONDS = 60  # timeout of a connection without data
_PIECE = 1 << 20


class PublishedWeights(NamedTuple):
    """A file of published weights.

    mean, std       for pixels from 0 to 1
    resize, crop    the shortest side and the central square in pixels; crop is None without one
    norm_eps        ε of its batch norms, if it differs from the network's own
    colours         "rgb", or "bgr" if its first layer reads blue, green, red
    pad             level of the margins of images that are not cropped; None if they are
    """

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
    colours: str
    pad: int | None

    @property
    def package(self) -> str | None:
        """The Python package that holds the file; None for a file to download."""
        return self.url.removeprefix(_PACKAGE).split("/")[0] if self.url.startswith(_PACKAGE) else None

    def preprocessing(self) -> dict[str, Any]:
        """The preprocessing with which these weights were trained."""
        return {key: getattr(self, key) for key in ("mean", "std", "resize", "crop", "interpolation")}


@cache
def _table() -> dict[str, Any]:
    text = (resources.files("sightline.models") / "published.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def convention(model: str) -> dict[str, Any] | None:
    """How the code that networks of this name come from prepares images: `publisher`, `mean`, `std`, `colours`, `pad`. None
    where files of this network have no such custom."""
    table = _table()
    for publisher, models in table["conventions"].items():
        if model in models:
            facts = table["defaults"]["all"] | table["defaults"][publisher]
            return {"publisher": publisher, **{key: facts[key] for key in ("mean", "std", "colours", "pad")}}
    return None


@cache
def published() -> dict[str, dict[str, PublishedWeights]]:
    """Model → name of the weights → weights; the first name of a publisher is its default."""
    table = _table()
    defaults = table["defaults"]

    def source(model: str, name: str, own: dict[str, Any]) -> PublishedWeights:
        facts = defaults["all"] | defaults[name.split("/")[0]] | own
        pair = {key: tuple(facts[key]) for key in ("mean", "std")}
        return PublishedWeights(name=name, model=model, **{**facts, **pair})

    return {
        model: {name: source(model, name, own) for name, own in files.items()}
        for model, files in table["weights"].items()
    }


def find(model: str, name: str) -> PublishedWeights:
    """The published weights of a network by name; "torchvision" alone means its default. UsageError if none match."""
    known = published().get(model, {})
    for full, source in known.items():
        if name in (full, full.split("/")[0]):
            return source
    if not known:
        raise UsageError(f"no published weights of {model} are known", "pass the path of a file")
    raise UsageError(f"{name!r} is neither a file nor published weights of {model}", nearest(name, known))


def find_by_hash(model: str, sha256: str) -> PublishedWeights | None:
    """The source of a published file by its hash; this network's, where several networks share the file."""
    every = [*published().get(model, {}).values(), *(s for files in published().values() for s in files.values())]
    return next((source for source in every if sha256.startswith(source.sha256)), None)


def installed(source: PublishedWeights) -> Path | None:
    """The file in its installed package; None where the package is not installed."""
    if source.package is None:
        return None
    try:
        package = metadata.distribution(source.package)
    except metadata.PackageNotFoundError:
        return None
    path = Path(str(package.locate_file(source.url.removeprefix(f"{_PACKAGE}{source.package}/"))))
    return path if path.is_file() else None


def fetch(source: PublishedWeights, folder: Path) -> Path:
    """Download the file under a temporary name in `folder`; the caller moves or removes it.

    ResourceError if the network or the disk fails, DamagedError if the content is not the published one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{TEMPORARY}{secrets.token_hex(6)}{Path(urllib.parse.urlsplit(source.url).path).suffix}"
    try:
        sha256 = download(source.url, path)
        if not sha256.startswith(source.sha256):
            raise DamagedError(f"{source.url} gave a file of SHA-256 {sha256[:16]}…, not {source.sha256}…", "try again")
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _require_safe(url: str) -> None:
    if urllib.parse.urlsplit(url).scheme not in SCHEMES:
        raise UsageError(f"{url} is not an https URL", "download it another way and pass the file's path")


def download(url: str, path: Path) -> str:
    """Write the content of the URL to `path`; returns its SHA-256."""
    _require_safe(url)
    digest, length = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:
            _require_safe(answer.url)  # after redirects
            announced = int(answer.headers.get("Content-Length") or 0)
            with no_space(path, announced), open(path, "xb") as file:
                while length <= MAX_BYTES and (piece := answer.read(_PIECE)):
                    file.write(piece)
                    digest.update(piece)
                    length += len(piece)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise ResourceError(
            f"cannot fetch {url}: {reason}", "download it another way and pass the file's path"
        ) from error
    if length > MAX_BYTES or (announced and length != announced):
        expected = f"{announced:,}" if announced else f"at most {MAX_BYTES:,}"
        raise DamagedError(f"{url} gave {length:,} bytes, not {expected}", "try again")
    return digest.hexdigest()
