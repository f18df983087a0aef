"""The one error of the decoder: a stable reason code, and words for the person whose file it is.

Whatever the bytes, `decode` returns pixels or raises `Rejected`. The code goes into quarantine reports and predictions,
so codes may be added but never renamed.
"""

from __future__ import annotations

from sightline.errors import DataError

REASONS: dict[str, str] = {
    "missing": "check the path",
    "is-a-directory": "name the files in it",
    "not-a-regular-file": "give a regular file: pipes, sockets and devices are never opened",
    "symlink-loop": "remove the links that lead back to themselves",
    "unreadable": "check the file's permissions and its disk",
    "empty-file": "copy it again from its source",
    "too-large-file": "re-encode it, or raise max_bytes",
    "not-an-image": "use JPEG, PNG, WebP, BMP, GIF or TIFF",
    "unsupported-format": "convert it to PNG or JPEG",
    "zero-size": "export it again: it has no pixels",
    "too-many-pixels": "scale it down, or raise max_pixels",
    "truncated": "copy it again from its source",
    "damaged": "copy it again from its source",
    "float-without-range": "scale it to 8 or 16 unsigned bits; the file does not say what black and white are",
    "out-of-memory": "scale it down",
}


class Rejected(DataError):
    """An image that cannot be used: `reason` is a key of `REASONS`, `detail` says what is wrong, `source` names the file;
    `hint` replaces the advice of `REASONS` where another fits better."""

    def __init__(self, reason: str, detail: str, source: str = "", hint: str = "") -> None:
        super().__init__(f"{source}: {detail}" if source else detail, hint or REASONS[reason])
        self.reason = reason
        self.detail = detail
        self.source = source

    def __reduce__(self) -> tuple[type[Rejected], tuple[str, str, str, str]]:
        """Worker processes pickle it; the default of Exception would lose the reason."""
        return Rejected, (self.reason, self.detail, self.source, self.hint)
