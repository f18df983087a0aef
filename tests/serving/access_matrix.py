"""Sixty requests to five servers, with what each is answered: bind x Host x Origin x token x method."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

TOKEN = "a-token-of-twenty-two-chars"
BINDS = ("127.0.0.1", "127.0.0.1 with a token", "0.0.0.0 with a token")


class Cell(NamedTuple):
    bind: str
    host: str
    origin: str
    token: str
    method: str
    status: int  # what it must be


def cells() -> Iterator[Cell]:
    """Of loopback without a token 2 x 4 x 3, of each bind with one what its token adds."""
    for method in ("GET", "POST"):
        for host in ("own", "localhost", "foreign", "own without the port"):
            for origin in ("none", "own", "foreign"):
                yield _cell(BINDS[0], host, origin, "none", method)
    for bind in BINDS[1:]:
        for method in ("GET", "POST"):
            for token in ("none", "wrong", "right"):
                for host, origin in (("own", "none"), ("foreign", "none"), ("own", "foreign")):
                    yield _cell(bind, host, origin, token, method)


def _cell(bind: str, host: str, origin: str, token: str, method: str) -> Cell:
    return Cell(bind, host, origin, token, method, _specified(bind, host, origin, token, method))


def _specified(bind: str, host: str, origin: str, token: str, method: str) -> int:
    """The rules, in their order: a name of the server, no page of another site, the token."""
    if bind != BINDS[2] and host not in ("own", "localhost"):
        return 421
    if method == "POST" and (origin == "foreign" or (origin == "own" and host == "localhost")):
        return 403
    if bind != BINDS[0] and token != "right":
        return 401
    return 200


def headers(cell: Cell, port: int) -> dict[str, str]:
    hosts = {
        "own": f"127.0.0.1:{port}", "localhost": f"LocalHost:{port}", "foreign": f"rebound.example:{port}",
        "own without the port": "127.0.0.1",
    }  # fmt: skip
    origins = {"own": f"http://127.0.0.1:{port}", "foreign": "https://evil.example"}
    tokens = {"wrong": f"Bearer {TOKEN[:-1]}", "right": f"Bearer {TOKEN}"}
    found = {"Host": hosts[cell.host]}
    if cell.origin in origins:
        found["Origin"] = origins[cell.origin]
    if cell.token in tokens:
        found["Authorization"] = tokens[cell.token]
    return found
