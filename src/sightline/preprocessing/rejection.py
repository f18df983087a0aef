"""The one error of the decoder: a stable reason code, and words for the person whose file it is.

Whatever the bytes, `decode` returns pixels or raises `Rejected`. The code goes into quarantine reports and predictions,
so codes are added, never renamed.
"""

from __future__ import annotations

from sightline.errors import DataError

REASONS: dict[str, str] = {
    "missing": "check the path",
    "is-a-directory": "name the files in it",
    "not-a-regular-file": "pipes, sockets and devices are never opened",
    "symlink-loop": "the links lead back to themselves",
    "unreadable": "check the file's permissions and its disk",
    "empty-file": "copy it again from where it came",
    "too-large-file": "re-encode it, or raise max_bytes",
    "not-an-image": "JPEG, PNG, WebP, BMP, GIF and TIFF are read",
    "unsupported-format": "convert it to PNG or JPEG",
    "zero-size": "the image has no pixels",
    "too-many-pixels": "scale it down, or raise max_pixels",
    "truncated": "copy it again from where it came",
    "damaged": "copy it again from where it came",
    "float-without-range": "scale it to 8 or 16 unsigned bits; the file does not say what black and white are",
    "out-of-memory": "scale it down",
}


class Rejected(DataError):
    """An image that is not used: `reason` is a key of `REASONS`, `detail` what was found, `source` names the file."""

    def __init__(self, reason: str, detail: str, source: str = "") -> None:
        super().__init__(f"{source}: {detail}" if source else detail, REASONS[reason])
        self.reason = reason
        self.detail = detail
        self.source = source

    def __reduce__(self) -> tuple[type[Rejected], tuple[str, str, str]]:
        """Worker processes send it home; Exception's own way would lose the reason."""
        return Rejected, (self.reason, self.detail, self.source)
