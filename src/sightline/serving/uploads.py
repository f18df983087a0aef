"""The body of a request → encoded images: one as it is, or the files of a form. Bodies are held in memory, never on a disk."""

from __future__ import annotations

from typing import NamedTuple

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from sightline.storage.text import printable

from .access import Refusal
from .settings import FILES

FORM = "multipart/form-data"
TYPES = ("image/jpeg", "image/png", "image/webp", "image/bmp", "image/gif", "image/tiff", "application/octet-stream")
_CURL = "application/x-www-form-urlencoded"  # what `curl --data-binary` says of any body
_LONGEST_NAME = 200
_FIELD = 4096  # bytes of a field that is no file


class Image(NamedTuple):
    """`name` is that of an upload, for the answer only."""

    data: bytes
    name: str | None = None


class Refused(Exception):
    """A request that cannot be answered as it is."""

    def __init__(self, refusal: Refusal, *, close: bool = False) -> None:
        super().__init__(refusal.message)
        self.refusal, self.close = refusal, close


class _Form(MultiPartParser):
    spool_max_size = 1 << 40  # the body has its own limit


def require_type(content_type: str, encoding: str) -> bool:
    """Whether a form is sent, rather than one image. Raises `Refused` for what is neither."""
    kind = content_type.partition(";")[0].strip().lower()
    if encoding.strip().lower() not in ("", "identity"):
        raise Refused(Refusal(415, "encoded-body", "the body is compressed", "send it without Content-Encoding"))
    if kind == FORM:
        return True
    if kind and kind not in TYPES and kind != _CURL and not kind.startswith("image/"):
        hint = f"send Content-Type: {', '.join(TYPES)} or {FORM}"
        raise Refused(Refusal(415, "wrong-type", "the content type is that of no image", hint))
    return False


async def read_images(request: Request) -> list[Image]:
    """The images of a request. Raises `Refused`."""
    headers = request.headers
    if not require_type(headers.get("content-type", ""), headers.get("content-encoding", "")):
        data = await request.body()
        if not data:
            raise Refused(Refusal(400, "empty-body", "there is no image", "send the bytes of an image as the body"))
        return [Image(data)]
    try:
        form = await _Form(
            request.headers, request.stream(), max_files=FILES, max_fields=FILES, max_part_size=_FIELD
        ).parse()
    except MultiPartException as error:
        hint = f"send at most {FILES} files, each a part with a filename"
        raise Refused(
            Refusal(400, "wrong-form", f"the form cannot be read: {error.message}", hint), close=True
        ) from error
    files = [part for _, part in form.multi_items() if isinstance(part, UploadFile)]
    images = [Image(await file.read(), printable((file.filename or "")[:_LONGEST_NAME])) for file in files]
    await form.close()
    if not images:
        raise Refused(Refusal(400, "no-files", "the form holds no file", "send each image as a part with a filename"))
    return images
