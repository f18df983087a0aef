"""Settings of the whole process, made only by the command line, never by the library."""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import sys
import warnings
from typing import NoReturn

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # mallopt's parameters, from malloc.h


def prepare_streams() -> None:
    """Give the process its three streams. A closed one would let the next file that is opened take its number, and a
    library's warning would be written into a model; one in ASCII would end the program at the first é."""
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(
                os.devnull, mode
            )  # takes the lowest free number; stdout stays unwritable, since an answer would be lost
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def leave(code: int) -> NoReturn:
    """End the process with this code. A stream that cannot be flushed any more would change it to 120."""
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                if stream is sys.__stdout__ or stream is sys.__stderr__:
                    os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    sys.exit(code)


def prepare_process() -> None:
    """Keep freed memory instead of returning large blocks to the system, which costs page faults at every operation: on
    glibc training becomes 1.2-1.5 times as fast for a few per cent more memory. Make cuBLAS deterministic."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # a fixed order of summation on a GPU
    for chatty in ("lightning_fabric", "PIL"):  # our decoder reports what is wrong with an image
        warnings.filterwarnings("ignore", module=chatty)
    if sys.platform != "linux" or "MALLOC_MMAP_MAX_" in os.environ:
        return
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(_TOP_PAD, 2**28)
    except (OSError, AttributeError):  # another libc: nothing to tune
        return
