"""Work measured in lines of our own code that run: the same number on every machine, however busy it is."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import sightline

_SOURCE = str(Path(sightline.__file__).parent)


@contextmanager
def at_most_lines(limit: int) -> Iterator[None]:
    """Fail the test as soon as the block has run more than `limit` lines of `sightline`, in this thread or in one that it
    starts. Without the limit, code that has lost its guard would run for minutes before the test could say so; and
    `pytest.fail` passes through `except Exception`, which the decoder needs."""
    lines = 0

    def trace_line(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal lines
        if event == "line":
            lines += 1
            if lines > limit:
                pytest.fail(f"more than {limit:,} lines ran; the last one was {frame.f_code.co_name}:{frame.f_lineno}")
        return trace_line

    def trace_call(frame: FrameType, event: str, arg: Any) -> Any:
        return trace_line if frame.f_code.co_filename.startswith(_SOURCE) else None

    before = sys.gettrace()
    threading.settrace(trace_call)
    sys.settrace(trace_call)
    try:
        yield
    finally:
        sys.settrace(before)
        threading.settrace(before)  # type: ignore[arg-type]
