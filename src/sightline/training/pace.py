"""How long a training still takes: from its own steps and validations, and nothing until these have become steady."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

WARM_UP = 3  # steps that allocate memory, choose kernels and fill caches
LEAST_SECONDS, LEAST_STEPS = 3.0, 8  # of steps after the warm-up before anything is estimated
RECENT = 400  # steps that the mean is taken over: another program may come or go
STEADY = 0.2  # the largest difference of the means of their two halves, as a share
FORWARD = 1 / 3  # of a step's time, for as many images: a validation before the first one was measured
WRITING = 2.0  # seconds for the report and the seal


@dataclass
class Pace:
    """steps, batch    of the whole training
    every              steps between validations
    images             of one validation, 0 without; `final`: of the splits that are evaluated after the last step
    """

    steps: int
    batch: int
    every: int
    images: int
    final: int
    now: Callable[[], float] = time.perf_counter
    _last: float | None = None
    _apart: float = 0.0
    _passed: int = 0
    _steps: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    _validation: float | None = None

    def start(self) -> None:
        """The loop begins."""
        self._last = self.now()

    def stepped(self) -> None:
        """A step has ended, with all its actions."""
        now = self.now()
        if self._last is not None:
            self._passed += 1
            if self._passed > WARM_UP:
                self._steps.append(now - self._last - self._apart)
        self._last, self._apart = now, 0.0

    def validated(self, seconds: float) -> None:
        """A validation has taken so long. It does not count as a part of its step."""
        self._apart += seconds
        self._validation = seconds

    def left(self, step: int) -> float | None:
        """Seconds from this step to the finished run; None while it cannot be told within about a quarter."""
        mean = self._step_seconds()
        if mean is None:
            return None
        one = self._validation if self._validation is not None else FORWARD * mean * self.images / self.batch
        validations = -(-self.steps // self.every) - step // self.every if self.images else 0
        final = one * self.final / self.images if self.images else FORWARD * mean * self.final / self.batch
        return (self.steps - step) * mean + validations * one + final + WRITING

    def _step_seconds(self) -> float | None:
        steps = list(self._steps)  # a copy: a line is also made by another thread
        if len(steps) < LEAST_STEPS or sum(steps) < LEAST_SECONDS:
            return None
        half = len(steps) // 2
        early, late = sum(steps[:half]) / half, sum(steps[half:]) / (len(steps) - half)
        return (early + late) / 2 if abs(early - late) <= STEADY * max(early, late) else None


def span(seconds: float) -> str:
    """A duration in words, such as "25 s" or "3 min"."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def figure(value: float) -> str:
    """Four decimals, or two digits of what would otherwise read as 0.0000, or four of what is far out of range."""
    if abs(value) >= 1e6:
        return f"{value:.4g}"
    return f"{value:.4f}" if value == 0 or abs(value) >= 0.001 else f"{value:.2g}"
