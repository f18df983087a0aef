"""One writer per run folder: a lock that dies with its process and names its holder."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sightline.errors import ResourceError

from .files import no_space

_HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder` for writing. Raises ResourceError, naming the process, when another live one holds it.

    The kernel drops a lock with its process, so a stale one cannot exist; pid and boot id are for the message only.
    """
    try:
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise ResourceError(f"cannot write into {folder}: {reason}", "choose another --out") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _HELD:
                reason = os.strerror(error.errno or 0).lower()
                raise ResourceError(
                    f"{folder} cannot be locked: {reason}", "choose an --out on a local disk"
                ) from error
            raise ResourceError(
                f"{folder} is in use by {_holder(descriptor)}", "wait for it, or choose another --out"
            ) from error
        with no_space(folder / ".lock", 64):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "boot": _boot_id()}).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    try:
        return f"process {json.loads(os.pread(descriptor, 4096, 0))['pid']}"
    except (ValueError, KeyError, TypeError):
        return "another process"


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
