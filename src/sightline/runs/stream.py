"""Standard error as a stream that may go away: what it cannot take is dropped, since the work goes on.

`train … 2>&1 | head` closes it after ten lines, `2>&-` before the first, a disk fills, a terminal hangs up. None of these
may end a training, whose messages are in its log.txt.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any

_GONE = (OSError, ValueError, AttributeError)  # no reader, closed, or None where the program started without one


class Lenient:
    """`sys.stderr` as it is now; errors of writing are ignored."""

    def write(self, text: str) -> int:
        with contextlib.suppress(*_GONE):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(*_GONE):
            sys.stderr.flush()

    def isatty(self) -> bool:
        try:
            return sys.stderr.isatty()
        except _GONE:
            return False

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)  # encoding, fileno …: what Rich asks for


STDERR: Any = Lenient()
