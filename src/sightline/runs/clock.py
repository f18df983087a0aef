"""How long training took: segments in `timing.jsonl`, the only place (with `log.txt`) where a run keeps clocks."""

from __future__ import annotations

import time
from pathlib import Path

from sightline.runs.run import TIMING
from sightline.storage.logs import Log, try_append
from sightline.storage.text import json_text


class Clock:
    """Counts training time between `start` and `stop`; each stop is one line."""

    def __init__(self, folder: Path) -> None:
        self._log = Log(folder / TIMING)
        self._since = time.perf_counter()
        self._done = 0

    def start(self, images: int) -> None:
        self._since, self._done = time.perf_counter(), images

    def stop(self, step: int, images: int) -> float:
        """Close the segment that ends with `images` seen in all; its images per second."""
        seconds, seen = time.perf_counter() - self._since, images - self._done
        line = {"step": step, "images": seen, "seconds": round(seconds, 4), "at": round(time.time(), 1)}
        if seen:
            try_append(self._log, json_text(line, indent=None) + "\n")
        self.start(images)
        return seen / max(seconds, 1e-9)
