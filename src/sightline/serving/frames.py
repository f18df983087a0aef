"""What the server and its worker say to each other over a socket: a number, a small JSON object, bytes.

8 bytes   number of the request, 0 for what belongs to none
4 bytes   length of the JSON object
4 bytes   length of the bytes
"""

from __future__ import annotations

import json
import struct
from typing import Any, NamedTuple

HEAD = struct.Struct("!QII")


class Frame(NamedTuple):
    number: int
    facts: dict[str, Any]
    data: bytes


def packed(number: int, facts: dict[str, Any], data: bytes = b"") -> tuple[bytes, bytes]:
    """The frame in two parts: `data` may be large, and is not copied."""
    text = json.dumps(facts).encode()
    return HEAD.pack(number, len(text), len(data)) + text, data


def parsed(text: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(text)
    return value
