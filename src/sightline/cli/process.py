"""Settings of the whole process, made only by the command line, never by the library."""

from __future__ import annotations

import ctypes
import os
import sys
import warnings

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # mallopt's parameters, from malloc.h


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
