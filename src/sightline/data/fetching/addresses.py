"""What counts as an address, and what may be done with one.

An address is never opened because it looks like one: fetching needs permission, as for published weights. Credentials in an
address are refused, since the run would keep them; the query, which may be a signature, is never shown.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from contextlib import suppress
from urllib.parse import unquote, urlsplit

from sightline.errors import UsageError
from sightline.storage.text import printable

WEB = ("http", "https")
CLOUDS = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "hf", "memory")
_CONTAINERS = ("abfs", "abfss", "hf")  # here "@" separates a container from its host
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
SWITCH = "add --allow-network (data.allow_network=true in a recipe, allow_network=True in Python)"


def is_address(what: str) -> bool:
    """Whether it is an address rather than a path: a scheme and ://."""
    return bool(_SCHEME.match(what))


def scheme_of(address: str) -> str:
    found = _SCHEME.match(address)
    return found[1].lower() if found else ""


def shown(address: str) -> str:
    """The address without its query and fragment, to be printed."""
    parts = address.partition("#")[0].partition("?")
    return printable(parts[0][:300] + ("?…" if parts[1] else ""))


def name_of(address: str) -> str:
    """The name of the file at an address, with harmless characters only."""
    last = unquote(urlsplit(address).path.rstrip("/").rsplit("/", 1)[-1]) or "data"
    return re.sub(r"[^\w.() -]+", "-", last).strip(". ")[-100:] or "data"


def require_address(address: str) -> None:
    """UsageError for an address that is not fetched, allowed or not."""
    scheme = scheme_of(address)
    if scheme == "file":
        raise UsageError(f"{shown(address)} is a file of this machine", "pass its path, without file://")
    if scheme not in (*WEB, *CLOUDS) or "::" in address:
        known = ", ".join(f"{each}://" for each in (*WEB, "s3", "gs", "az", "hf"))
        raise UsageError(f"{shown(address)}: addresses of this kind are not read", f"use one of {known}, or a path")
    if "@" in urlsplit(address).netloc and scheme not in _CONTAINERS:
        host = printable(urlsplit(address).hostname or "")
        raise UsageError(
            f"the address at {host} holds a name or password, which the run would keep",
            "leave it out, and give credentials as the cloud's own tools do: by environment or configuration",
        )


def require_permission(address: str, allow_network: bool) -> None:
    """UsageError where the network may not be used."""
    if not allow_network:
        raise UsageError(
            f"{shown(address)} is an address, and not in the cache", f"{SWITCH} to fetch it, or pass a path"
        )


def is_private(host: str) -> bool:
    """Whether a host's name leads into this machine or the network around it."""
    with suppress(OSError, ValueError, UnicodeError):
        found = {info[4][0] for info in socket.getaddrinfo(host, None)}
        return any(not ipaddress.ip_address(str(each).partition("%")[0]).is_global for each in found)
    return False


def remark(address: str) -> str:
    """What the user should know of an address; "" if nothing."""
    host = urlsplit(address).hostname or ""
    if scheme_of(address) in WEB and is_private(host):
        return f"{printable(host)} is an address of this machine or a private network"
    return ""
