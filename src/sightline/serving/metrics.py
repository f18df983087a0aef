"""Counts of a server in the text format that Prometheus reads."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds


class Metrics:
    """Counters only go up. `paths` are those that are counted by name: a stranger must not invent time series."""

    def __init__(self) -> None:
        self.paths: frozenset[str] = frozenset()
        self.requests: Counter[tuple[str, int]] = Counter()
        self.images = self.rejected = self.batches = self.received = 0
        self.seconds = 0.0
        self.buckets = [0] * (len(BOUNDS) + 1)

    def request(self, path: str, status: int) -> None:
        self.requests[path if path in self.paths else "other", status] += 1

    def answered(self, seconds: float) -> None:
        """A prediction that took so long from the arrival of its headers."""
        self.seconds += seconds
        self.buckets[bisect_left(BOUNDS, seconds)] += 1

    def text(self, gauges: Mapping[str, float]) -> str:
        lines = ["# TYPE sightline_requests_total counter"]
        for (path, status), count in sorted(self.requests.items()):
            lines.append(f'sightline_requests_total{{path="{path}",status="{status}"}} {count}')
        counters = {
            "images": self.images,
            "images_rejected": self.rejected,
            "batches": self.batches,
            "body_bytes": self.received,
        }
        for name, value in counters.items():
            lines += [f"# TYPE sightline_{name}_total counter", f"sightline_{name}_total {value}"]
        for name, number in gauges.items():
            lines += [f"# TYPE sightline_{name} gauge", f"sightline_{name} {number:g}"]
        return "\n".join([*lines, *self._histogram()]) + "\n"

    def _histogram(self) -> list[str]:
        name, total = "sightline_predict_seconds", 0
        lines = [f"# TYPE {name} histogram"]
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), self.buckets, strict=True):
            total += count
            lines.append(f'{name}_bucket{{le="{bound}"}} {total}')
        return [*lines, f"{name}_sum {self.seconds:.6f}", f"{name}_count {total}"]
