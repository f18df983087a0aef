"""Requests that mean harm: too large, too deep, too many, too slow, misshapen; and paths that lead elsewhere."""

# ruff: noqa: E501 - a case is one line
from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote

from .clients import form, picture


class Hostile(NamedTuple):
    name: str
    request: bytes
    statuses: tuple[int, ...]  # any of them will do
    code: str = ""


def _post(host: str, body: bytes, kind: str = "image/png", *more: str, length: bool = True) -> bytes:
    lines = ["POST /predict HTTP/1.1", f"Host: {host}", f"Content-Type: {kind}", *more]
    lines += [f"Content-Length: {len(body)}"] if length else []
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def bomb(side: int = 60_000) -> bytes:
    """A PNG of a few hundred bytes that says it has `side` squared pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))

    head = struct.pack(">LLBBBBB", side, side, 8, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(bytes(1 << 16), 9)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def hostile(host: str, most: int) -> list[Hostile]:
    """One of each kind for a server whose bodies have at most `most` bytes."""
    image = picture(1)
    many, kind = form(*((f"{i}.png", b"x") for i in range(10_000)))
    fields = (
        b"".join(b'--e\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n' for _ in range(10_000)) + b"--e--\r\n"
    )
    deep = b"[" * 500_000
    no_end = b'--e\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n' + image
    return [
        Hostile("a body that says it is too large", _post(host, b"", "image/png", f"Content-Length: {most + 1}", length=False), (413,), "too-large"),
        Hostile("a length of a hundred digits", _post(host, b"", "image/png", "Content-Length: " + "9" * 100, length=False), (400, 413)),
        Hostile("two lengths", _post(host, image, "image/png", "Content-Length: 3"), (400,)),
        Hostile("a negative length", _post(host, b"", "image/png", "Content-Length: -5", length=False), (400,)),
        Hostile("a pixel bomb", _post(host, bomb()), (422,), "too-many-pixels"),
        Hostile("a broken image", _post(host, image[: len(image) // 2]), (422,), "truncated"),
        Hostile("no image", _post(host, b"hello"), (422,), "not-an-image"),
        Hostile("no body", _post(host, b""), (400,), "empty-body"),
        Hostile("10,000 files", _post(host, many, kind), (400,), "wrong-form"),
        Hostile("10,000 fields", _post(host, fields, "multipart/form-data; boundary=e"), (400,), "wrong-form"),
        Hostile("a form without an edge", _post(host, many[:500], "multipart/form-data"), (400,), "wrong-form"),
        Hostile("a form without an end", _post(host, no_end, "multipart/form-data; boundary=e"), (400, 422, 200)),
        Hostile("a form without files", _post(host, b"--e--\r\n", "multipart/form-data; boundary=e"), (400,)),
        Hostile("a charset that is none", _post(host, many[:500], "multipart/form-data; boundary=e; charset=\xff"), (400,)),
        Hostile("an endless header of a part", _post(host, b"--e\r\n" + b"a" * 200_000, "multipart/form-data; boundary=e"), (400,)),
        Hostile("deep JSON", _post(host, deep, "application/json"), (415,), "wrong-type"),
        Hostile("text", _post(host, b"hello", "text/plain"), (415,), "wrong-type"),
        Hostile("a compressed body", _post(host, zlib.compress(image), "image/png", "Content-Encoding: gzip"), (415,), "encoded-body"),
        Hostile("an unknown transfer", _post(host, b"", "image/png", "Transfer-Encoding: chonked", length=False), (400, 501)),
        Hostile("a chunk of no length", _post(host, b"zz\r\n", "image/png", "Transfer-Encoding: chunked", length=False), (400,)),
        Hostile("a megabyte of headers", _post(host, image, "image/png", "X-Long: " + "a" * 1_000_000), (400, 431)),
        Hostile("ten thousand headers", _post(host, image, "image/png", *(f"X-{i}: a" for i in range(10_000))), (400, 431)),
        Hostile("a NUL in a header", _post(host, image, "image/png", "X-A: a\0b"), (400,)),
        Hostile("a bad percent sign", f"GET /%zz%ff?conf=%ff HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(), (404,)),
        Hostile("bytes that are no text", b"GET /\xff\xfe HTTP/1.1\r\nHost: " + host.encode() + b"\r\n\r\n", (400,)),
        Hostile("another protocol", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40), (400,)),
        Hostile("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 421)),
        Hostile("an upgrade", f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n".encode(), (200, 400, 404)),
    ]  # fmt: skip


def endless(host: str) -> bytes:
    """The head of a body of unknown length."""
    return _post(host, b"", "image/png", "Transfer-Encoding: chunked", length=False)


_TARGETS = ("etc/passwd", "proc/self/environ", "secret.txt", "export.json", "model.onnx", "windows/win.ini")
_STEPS = ("../", "..\\", "%2e%2e/", "%2e%2e%2f", "..%2f", "..%5c", "%252e%252e%252f", "..%c0%af", "....//", "..;/", "/", "//",
          "file:///", "./", "%00../", "..%00/", "\\\\?\\", "~/", "%u002e%u002e/", "..%ef%bc%8f")  # fmt: skip


def traversals(count: int, seed: int = 0) -> Iterator[str]:
    """Paths and query values that lead out of a folder; targets of a request line."""
    draw = random.Random(seed)
    places = ("/{}", "/docs/{}", "/predict/{}", "/static/{}", "/openapi.json/{}", "/?file={}", "/predict?classes={}", "/predict?conf={}",
              "/docs?path={}", "/metrics?id={}", "/{}/predict", "/readyz/{}")  # fmt: skip
    for _ in range(count):
        step = draw.choice(_STEPS)
        value = step * draw.randint(1, 12) + draw.choice(_TARGETS) + draw.choice(("", "%00.png", ";.png", "?x", "/."))
        yield quote(draw.choice(places).format(value), safe="/%?=&;:~\\\\")


def mutants(host: str, count: int, seed: int = 0) -> Iterator[bytes]:
    """Damaged requests: bytes changed, cut, doubled, joined."""
    draw = random.Random(seed)
    body, kind = form(("a.png", picture(2, (6, 6))), ("b.png", picture(3, (6, 6))))
    chunked = b"5\r\nhello\r\n0\r\n\r\n"
    seeds = [
        _post(host, picture(1, (8, 8))), _post(host, body, kind), f"GET /?a=b HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(),
        _post(host, chunked, "image/png", "Transfer-Encoding: chunked", length=False),
        _post(host, b"x", "image/png", "Expect: 100-continue"), f"OPTIONS * HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(),
        f"HEAD /metrics HTTP/1.0\r\nHost: {host}\r\nConnection: keep-alive\r\n\r\n".encode(),
        f"CONNECT a:1 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(),
        f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\nOrigin: null\r\nAuthorization: x\r\n\r\n".encode(),
    ]  # fmt: skip
    tokens = [
        b"\r\n",
        b"\n",
        b"\0",
        b"%00",
        b"..",
        b"\xff",
        b": ",
        b"0",
        b"99999999999",
        b"HTTP/1.0",
        b"chunked",
        b"\t",
        b"--",
        b"{}",
        b"&",
        b"?",
    ]
    for _ in range(count):
        data = bytearray(draw.choice(seeds))
        for _ in range(draw.randint(1, 6)):
            place = draw.randrange(len(data) + 1) if draw.random() < 0.4 else draw.randrange(min(len(data), 160) + 1)
            action = draw.randrange(5)
            if action == 0:
                data[place : place + 1] = bytes([draw.randrange(256)])
            elif action == 1:
                del data[place : place + draw.randint(1, 12)]
            elif action == 2:
                data[place:place] = draw.choice(tokens)
            elif action == 3:
                data[place:place] = data[place : place + draw.randint(1, 40)]
            else:
                data[place : place + 1] = bytes([(data[place] if place < len(data) else 0) ^ 1 << draw.randrange(8)])
        yield bytes(data)
