"""What a server is asked to do, checked before it starts: the model, the address, the token, the limits."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path

from sightline.errors import UsageError
from sightline.storage.reading import NotRegular, TooLarge, read_regular, reason_of

TOKEN_VARIABLE = "SIGHTLINE_TOKEN"
LEAST_TOKEN = 16  # characters
FILES = 16  # images of one request
MOST_BODY = 32 << 20  # bytes of one request
MOST_HELD = 256 << 20  # bytes of all requests that are being read or answered
PATIENCE = 0.15  # seconds: more images than the model answers in this time are not let in
_MOST_TOKEN = 4096
_RANGES = {"port": (0, 65535), "batch": (1, 256), "queue": (FILES, 4096), "threads": (0, 1024)}


@dataclass(frozen=True)
class Settings:
    """`folder` holds the exported model. At most `batch` images share a pass through the graphs, at most `queue` are
    accepted and not yet answered; `threads` of the session, 0 for as many as there are cores. Without a `token` only a
    loopback address can be bound. UsageError for what cannot be served."""

    folder: Path | str
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = field(default=None, repr=False)
    batch: int = 8
    queue: int = 64
    threads: int = 0
    most_body: int = MOST_BODY

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise UsageError(f"--{name} {getattr(self, name)} is out of range", f"use {low} to {high}")
        if self.token is not None:
            _check_token(self.token)
        elif not is_loopback(self.host):
            raise UsageError(
                f"--host {self.host} can be reached from other machines, and there is no token",
                f"give --token-file FILE or set {TOKEN_VARIABLE}, or bind 127.0.0.1",
            )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address. Names other than localhost are not looked up, and count as reachable."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_token(file: str | Path | None) -> str | None:
    """The token in a file, else in the environment, else None."""
    if file is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    try:
        data = read_regular(Path(file), _MOST_TOKEN)
    except (NotRegular, TooLarge, OSError, ValueError) as error:
        reason = reason_of(error) if isinstance(error, OSError | ValueError) else str(error)
        raise UsageError(f"--token-file {file} cannot be read: {reason}", "name a file that holds the token") from error
    return data.decode("latin-1").strip()


def _check_token(token: str) -> None:
    """A token travels in a header, and is compared as bytes."""
    if len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(
            f"the token is no single word of at least {LEAST_TOKEN} printable ASCII characters",
            "make one: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )
