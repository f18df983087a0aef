"""Learning-rate schedules as pure functions, step → factor of the initial rate: nothing to save, easy to plot.

constant, step, exponential, 1/t    the classical forms
cosine                              Loshchilov & Hutter 2016, arXiv:1608.03983 (one period, no restarts)
one cycle                           Smith & Topin 2017, arXiv:1708.07120 (cosine up, cosine down)
plateau                             a function of the validation values so far; torch's ReduceLROnPlateau rule
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

Schedule = Callable[[int], float]


def constant(step: int) -> float:
    return 1.0


def step_decay(step: int, *, every: int, factor: float = 0.1) -> float:
    """Multiply by `factor` once every `every` steps."""
    return factor ** (step // every)


def exponential(step: int, *, rate: float) -> float:
    """e^(-rate · step)."""
    return math.exp(-rate * step)


def inverse_time(step: int, *, rate: float) -> float:
    """1 / (1 + rate · step)."""
    return 1.0 / (1.0 + rate * step)


def cosine(step: int, *, steps: int, floor: float = 0.0) -> float:
    """From 1 to `floor` along half a cosine over `steps`."""
    progress = min(step / max(steps, 1), 1.0)
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * progress))


def one_cycle(step: int, *, steps: int, rise: float = 0.3, start: float = 0.04, floor: float = 1e-4) -> float:
    """Cosine from `start` up to 1 over the share `rise` of the steps, then cosine down to `floor`."""
    peak = max(rise * steps, 1.0)
    if step < peak:
        return 1.0 + (start - 1.0) * 0.5 * (1.0 + math.cos(math.pi * step / peak))
    return cosine(int(step - peak), steps=max(int(steps - peak), 1), floor=floor)


def warmed(schedule: Schedule, *, warmup: int) -> Schedule:
    """The schedule with a linear warm-up: in the first `warmup` steps, step k uses (k + 1) / warmup of it."""

    def factor(step: int) -> float:
        return schedule(step) * min((step + 1) / warmup, 1.0) if warmup else schedule(step)

    return factor


def plateau(values: Sequence[float], *, factor: float = 0.1, patience: int = 2, threshold: float = 1e-4) -> float:
    """The factor after these validation losses: it is multiplied by `factor` whenever more than `patience` values in a row
    fail to improve on the best by the relative `threshold`."""
    best, bad, scale = math.inf, 0, 1.0
    for value in values:
        if value < best * (1.0 - threshold):
            best, bad = value, 0
        else:
            bad += 1
        if bad > patience:
            scale, bad = scale * factor, 0
    return scale
