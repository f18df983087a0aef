"""The time that training takes: segments in `timing.jsonl`. Only it, `speed.json` and `log.txt` of a run contain times."""

from __future__ import annotations

import time
from pathlib import Path

from sightline.runs.run import TIMING
from sightline.storage.logs import Log, try_append
from sightline.storage.text import json_text


class Clock:
    """Measures training time between `start` and `stop`; each `stop` writes a line."""

    def __init__(self, folder: Path) -> None:
        self._log = Log(folder / TIMING)
        self._since = time.perf_counter()
        self._images = 0

    def start(self, images: int) -> None:
        """Open a segment; `images` have been trained on so far."""
        self._since, self._images = time.perf_counter(), images

    def stop(self, step: int, images: int) -> float:
        """Close the segment, with `images` trained on in total; returns its images per second."""
        seconds, count = time.perf_counter() - self._since, images - self._images
        line = {"step": step, "images": count, "seconds": round(seconds, 4), "at": round(time.time(), 1)}
        if count:
            try_append(self._log, json_text(line, indent=None) + "\n")
        self.start(images)
        return count / max(seconds, 1e-9)
