"""Errors, worded for the person in front of the screen.

Every error that a user can cause or meet is a `SightlineError`: one line that names the thing, a hint that names the
fix, and the exit code of the command line. Any other exception is a bug (exit code 1, traceback in `log.txt`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SightlineError(Exception):
    """An error with an exit code and, where there is one, a fix as its `hint`."""

    exit_code = 1
    code = "error"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(SightlineError):
    """An unknown or contradictory command, recipe key, option or name; or an output folder that is already in use."""

    exit_code = 2
    code = "usage"


class DataError(SightlineError):
    """Data that cannot be learned from: no images, one class, leaking splits, labels without files."""

    exit_code = 3
    code = "data"


class DamagedError(SightlineError):
    """A run, checkpoint or file whose hashes do not match, or that a newer version wrote."""

    exit_code = 3
    code = "damaged"


class DivergedError(SightlineError):
    """Training met non-finite values too often in a row."""

    exit_code = 4
    code = "diverged"


class CheckError(SightlineError):
    """A requested check failed (`verify`, `doctor`)."""

    exit_code = 5
    code = "check"


class ResourceError(SightlineError):
    """Too little disk, memory or device, or another live process holds the run."""

    exit_code = 6
    code = "resource"


class Stopped(SightlineError):
    """SIGINT or SIGTERM arrived and the state was committed; `exit_code` is 128 + the signal."""

    code = "stopped"

    def __init__(self, message: str, hint: str = "", *, signal: int) -> None:
        super().__init__(message, hint)
        self.exit_code = 128 + signal


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint with the known names closest to `name`: "did you mean 'resnet50'?", or all of them if they are few."""
    name, known = name[:200], sorted(known)  # the search takes time with the square of the length
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    return f"known: {', '.join(known)}" if len(known) <= 12 else f"{len(known)} are known"
