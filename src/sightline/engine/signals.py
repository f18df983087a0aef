"""SIGTERM and Ctrl-C ask; the loop answers at the next step edge. A second one does not ask."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Asked:
    """Which signal has asked the training to stop (0: none)."""

    signal = 0

    def __call__(self) -> bool:
        return self.signal != 0


@contextmanager
def listening() -> Iterator[Asked]:
    """Inside, SIGINT and SIGTERM set the flag; outside (and on the second signal) they do what they did before."""
    asked = Asked()
    if threading.current_thread() is not threading.main_thread():  # Python delivers signals to the main thread only
        yield asked
        return
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

    def hear(number: int, frame: FrameType | None) -> None:
        asked.signal = number
        for s, handler in before.items():
            signal.signal(s, handler)

    for s in before:
        signal.signal(s, hear)
    try:
        yield asked
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)
