"""The bytes at an address, by fsspec. The only file that imports it.

Whoever answers is not trusted: what is read is bounded in bytes and time, and an answer that comes from a private network
after a redirection from elsewhere, or without encryption after one with it, is not used.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from sightline.errors import DataError, ResourceError, SightlineError

from .addresses import WEB, is_private, scheme_of, shown

PIECE = 1 << 20
_CONNECT, _SILENCE, _WHOLE = 30, 60, 6 * 3600  # seconds
_AWAY = "check the address and the network, or fetch the file another way and pass its path"


def pieces(address: str, most: int) -> Iterator[bytes]:
    """The content of one file, at most `most` bytes. ResourceError where the network or a package is missing, DataError for
    what is not there or too large."""
    with _our_errors(address), _opened(address) as file:
        _check_origin(address, file)
        announced = _announced(file)
        if announced is not None and announced > most:
            raise _too_large(address, announced, most)
        length = 0
        while piece := file.read(PIECE):
            length += len(piece)
            if length > most:
                raise _too_large(address, length, most)
            yield piece
        if announced is not None and length < announced and not _is_packed(file):
            raise ResourceError(f"{shown(address)} gave {length:,} of {announced:,} bytes", "try again")


@contextmanager
def _our_errors(address: str) -> Iterator[None]:
    """Turn the errors of any client into ours."""
    try:
        yield
    except (SightlineError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise DataError(f"{shown(address)} does not exist", "check the address") from error
    except (IsADirectoryError, PermissionError) as error:
        why = "is a folder" if isinstance(error, IsADirectoryError) else "may not be read"
        raise DataError(
            f"{shown(address)} {why}", "give the address of an archive, a Parquet file or a table"
        ) from error
    except TimeoutError as error:
        raise ResourceError(f"{shown(address)}: no answer in {_SILENCE} seconds", _AWAY) from error
    except Exception as error:  # clients of clouds raise errors of their own
        text = str(error).replace(address, shown(address))[:200] or type(error).__name__
        raise ResourceError(f"cannot fetch {shown(address)}: {text}", _AWAY) from error


def _opened(address: str) -> Any:
    try:
        import fsspec
    except ImportError as error:
        raise ResourceError("fsspec is not installed", "install it: pip install 'sightline[cloud]'") from error
    try:
        if scheme_of(address) in WEB:
            import aiohttp

            timeout = aiohttp.ClientTimeout(total=_WHOLE, connect=_CONNECT, sock_read=_SILENCE)
            system = fsspec.filesystem("http", client_kwargs={"timeout": timeout}, skip_instance_cache=True)
            # A stream, for not every server answers for a part of a file. With a size, which a stream never looks at, nothing
            # is asked before.
            return system.open(address, "rb", block_size=0, size=1)
        system, path = fsspec.url_to_fs(address)
        return system.open(path, "rb")
    except ImportError as error:
        raise ResourceError(
            f"{shown(address)} needs a package that is not installed: {str(error)[:120]}",
            "install it: pip install 'sightline[cloud]', and for a cloud its own: s3fs, gcsfs, adlfs or huggingface_hub",
        ) from error


def _check_origin(address: str, file: Any) -> None:
    """Refuse an answer that a redirection has led to a less open place than the address names."""
    answer = getattr(file, "r", None)
    if answer is None or not getattr(answer, "history", ()):
        return
    first, last = urlsplit(address), urlsplit(str(answer.url))
    if first.scheme == "https" and last.scheme != "https":
        raise DataError(
            f"{shown(address)} leads to {shown(str(answer.url))}, without encryption", "give that address itself"
        )
    if is_private(last.hostname or "") and not is_private(first.hostname or ""):
        raise DataError(f"{shown(address)} leads into a private network", "give that address itself")


def _announced(file: Any) -> int | None:
    answer = getattr(file, "r", None)
    with suppress(TypeError, ValueError, KeyError, AttributeError):
        return int(answer.headers["Content-Length"] if answer is not None else file.size)
    return None


def _is_packed(file: Any) -> bool:
    """Whether the answer was compressed for transport, so that its stated length is not that of the content."""
    return bool(getattr(getattr(file, "r", None), "headers", {}).get("Content-Encoding"))


def _too_large(address: str, length: int, most: int) -> DataError:
    return DataError(
        f"{shown(address)} has {length:,} bytes or more; at most {most:,} are fetched",
        "fetch it yourself and pass its path",
    )
