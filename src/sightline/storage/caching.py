"""The cache folder: files that can be regenerated, kept between runs."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """$SIGHTLINE_CACHE, else `sightline` in the user's cache folder. It may not exist yet."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("SIGHTLINE_CACHE") or Path(home) / "sightline")
