"""What can go wrong, in words for the person in front of the screen.

Every error that a user can cause or meet is a `SightlineError`: one line that names the thing, a hint that names the
fix, and the exit code that the command line ends with. Anything else is a bug (exit code 1, traceback in `log.txt`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SightlineError(Exception):
    """An error with an exit code and, where there is one, the way out."""

    exit_code = 1
    code = "error"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(SightlineError):
    """A command, recipe, option or model name that cannot be meant; or an occupied folder."""

    exit_code = 2
    code = "usage"


class DataError(SightlineError):
    """Data that cannot be learned from: no images, one class, leaking splits, labels without files."""

    exit_code = 3
    code = "data"


class DamagedError(SightlineError):
    """A run, checkpoint or file that fails its own hashes, or was written by a newer version."""

    exit_code = 3
    code = "damaged"


class DivergedError(SightlineError):
    """Training met non-finite values too often in a row."""

    exit_code = 4
    code = "diverged"


class CheckError(SightlineError):
    """A check that was asked for did not pass (`verify`, `doctor`)."""

    exit_code = 5
    code = "check"


class ResourceError(SightlineError):
    """Disk, memory or device is not enough, or a live process holds the run."""

    exit_code = 6
    code = "resource"


class Stopped(SightlineError):
    """SIGINT or SIGTERM: the state was committed; `exit_code` is 128 + the signal."""

    code = "stopped"

    def __init__(self, message: str, hint: str = "", *, signal: int) -> None:
        super().__init__(message, hint)
        self.exit_code = 128 + signal


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint with the known names closest to `name`: "did you mean resnet50?", or all of them when few."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known: {', '.join(known)}" if len(known) <= 12 else f"{len(known)} are known"
