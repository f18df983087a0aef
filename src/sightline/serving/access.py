"""Who may ask: the Host, the Origin and the token of a request, before anything else of it is read.

A page of another site can send requests to a server on this machine, either across origins or by letting its own name
resolve to 127.0.0.1 (DNS rebinding). The first is visible in `Origin`, the second in `Host`.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable
from hashlib import sha256
from typing import NamedTuple

from .settings import Settings, is_loopback

Headers = Iterable[tuple[bytes, bytes]]
PROBES = frozenset({"/healthz", "/readyz"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LOCAL = ("127.0.0.1", "localhost", "[::1]")


class Refusal(NamedTuple):
    """`status` of HTTP, a stable `code`, and words for a person."""

    status: int
    code: str
    message: str
    hint: str


WRONG_HOST = Refusal(
    421, "wrong-host", "this server has another name", "use the address that it printed when it started"
)
WRONG_ORIGIN = Refusal(
    403, "wrong-origin", "requests of other sites are not answered", "send it from a page of this server"
)
NO_TOKEN = Refusal(401, "no-token", "a token is needed", "send the header Authorization: Bearer TOKEN")
WRONG_TOKEN = Refusal(401, "wrong-token", "the token is another one", "send the header Authorization: Bearer TOKEN")


class Access:
    """The rules of one server, which listens on `port`; `public` paths need no token, as those of probes do not.

    On a loopback address `Host` is one of its names with the port. On other addresses the server cannot know its names:
    there the token protects it, which a page of another site does not have. `Origin`, where there is one, is always the
    origin that `Host` names, on every request that may change something.
    """

    def __init__(self, settings: Settings, port: int, public: Collection[str] = ()) -> None:
        self.hosts: frozenset[bytes] | None = None
        if is_loopback(settings.host):
            names = {*_LOCAL, f"[{settings.host}]" if ":" in settings.host else settings.host}
            ends = ("", ":80") if port == 80 else (f":{port}",)
            self.hosts = frozenset(f"{name}{end}".encode() for name in names for end in ends)
        self.token = None if settings.token is None else _hashed(settings.token.encode())
        self.public = PROBES | frozenset(public)

    def refusal(self, method: str, path: str, headers: Headers) -> Refusal | None:
        """Why a request is refused, or None."""
        host = _only(headers, b"host")
        if not host or (self.hosts is not None and host.lower() not in self.hosts):
            return WRONG_HOST
        if method not in _SAFE and not _same_origin(_all(headers, b"origin"), host):
            return WRONG_ORIGIN
        if self.token is None or path in self.public:
            return None
        given = _only(headers, b"authorization")
        if given is None:
            return NO_TOKEN
        scheme, _, token = given.partition(b" ")
        right = hmac.compare_digest(_hashed(token.strip()), self.token)
        return None if right and scheme.lower() == b"bearer" else WRONG_TOKEN


def _hashed(token: bytes) -> bytes:
    """Of equal length for every token, so that comparing them takes equal time."""
    return sha256(token).digest()


def _same_origin(origins: list[bytes], host: bytes) -> bool:
    """Programs send no Origin, browsers one: the scheme and host of the page. Behind a proxy the scheme may be https."""
    allowed = (b"http://" + host.lower(), b"https://" + host.lower())
    return not origins or (len(origins) == 1 and origins[0].lower() in allowed)


def _all(headers: Headers, name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


def _only(headers: Headers, name: bytes) -> bytes | None:
    """The value of a header that is there exactly once."""
    values = _all(headers, name)
    return values[0] if len(values) == 1 else None
