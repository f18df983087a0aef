"""SIGTERM and Ctrl-C request a stop, which the loop honours after the current step. A second signal stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """The signal that requested a stop (0: none)."""

    signal = 0

    def __call__(self) -> bool:
        return self.signal != 0


class Terminated(KeyboardInterrupt):
    """SIGTERM outside the training loop: the program ends at once, with the exit code 128 + 15, as after Ctrl-C."""

    exit_code = 128 + signal.SIGTERM
    raised = False  # a module that was being imported may have turned the exception into another one


def raise_on_terminate() -> None:
    """From now on SIGTERM raises `Terminated`, so that open files, locks and temporary folders are cleaned up."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        Terminated.raised = True
        raise Terminated

    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, on_signal)


@contextmanager
def catch_signals() -> Iterator[StopRequest]:
    """Within the context, the first SIGINT or SIGTERM sets the flag and restores the previous handlers."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():  # Python delivers signals to the main thread only
        yield request
        return
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

    def on_signal(number: int, frame: FrameType | None) -> None:
        request.signal = number
        for s, handler in before.items():
            signal.signal(s, handler)

    for s in before:
        signal.signal(s, on_signal)
    try:
        yield request
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)
