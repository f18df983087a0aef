"""doctor: can this machine train, and what will training use?"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from sightline.errors import CheckError
from sightline.storage.caching import cache_folder
from sightline.version import __version__

FLOORS = {"torch": (2, 11), "pillow": (12, 3), "pyarrow": (17,)}


def doctor() -> dict[str, Any]:
    """{ok, checks: [{name, value, state, hint}]}. Raises CheckError naming the first check that fails."""
    checks = [*_versions(), _disk(), _memory(), _cache(), *_compute()]
    failed = [c for c in checks if c["state"] == "fail"]
    if failed:
        raise CheckError(f"{failed[0]['name']}: {failed[0]['value']}", failed[0]["hint"])
    return {"ok": True, "checks": checks}


def _check(name: str, value: Any, good: bool = True, hint: str = "") -> dict[str, Any]:
    return {"name": name, "value": str(value), "state": "ok" if good else "fail", "hint": "" if good else hint}


def _versions() -> list[dict[str, Any]]:
    rows = [_check("sightline", __version__), _check("python", sys.version.split()[0], sys.version_info >= (3, 11))]
    for name, floor in FLOORS.items():
        installed = importlib.metadata.version(name)
        numbers = tuple(int(p) for p in installed.split("+")[0].split(".")[:2] if p.isdigit())
        rows.append(_check(name, installed, numbers >= floor, f"pip install '{name}>={'.'.join(map(str, floor))}'"))
    return rows


def _disk() -> dict[str, Any]:
    free = shutil.disk_usage(Path.cwd()).free
    return _check("free disk here", f"{free / 2**30:.1f} GiB", free > 2**30, "free at least 1 GiB")


def available_memory() -> int | None:
    """Bytes that a new program can have, None where the system does not say.

    Linux counts pages of cached files as used; `MemAvailable` (proc(5)) counts those back in that it would give up.
    """
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None


def _memory() -> dict[str, Any]:
    available = available_memory()
    if available is None:
        return _check("available memory", "unknown")
    enough = available > 2**29
    return _check(
        "available memory", f"{available / 2**30:.1f} GiB", enough, "close other programs: at least 0.5 GiB is needed"
    )


def _cache() -> dict[str, Any]:
    folder = cache_folder()
    nearest_there = next(p for p in (folder, *folder.parents) if p.exists())
    return _check("cache folder", folder, os.access(nearest_there, os.W_OK), "set SIGHTLINE_CACHE to a writable folder")


def _compute() -> list[dict[str, Any]]:
    import torch  # after the checks that may tell why it does not import

    from sightline.engine.devices import choose_device, choose_precision

    device = choose_device()
    return [
        _check("device", torch.cuda.get_device_name() if device.startswith("cuda") else device),
        _check("compute threads", torch.get_num_threads()),
        _check("precision of large networks", choose_precision("auto", device, 10**12)),
        _check("vector instructions", torch.backends.cpu.get_cpu_capability()),
    ]
