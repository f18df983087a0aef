"""Settings of the whole process, made by the command line in its own process only."""

from __future__ import annotations

import ctypes
import os
import sys
import warnings

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # mallopt's parameters, from malloc.h


def prepare_process() -> None:
    """Keep freed memory instead of handing big blocks back after every operation, which would fault each page in again:
    1.2-1.5 times the speed of plain training loops on glibc, for a few per cent more memory. Let a GPU repeat itself."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # one order of adding on a GPU too
    for chatty in ("lightning_fabric", "PIL"):  # the decoder says what is wrong with an image, once and by name
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
