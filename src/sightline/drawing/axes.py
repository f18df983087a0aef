"""Where a value falls on paper, and which values get a tick.

Ticks are the multiples of 1, 2 or 5 times a power of ten nearest to the desired number (Heckbert 1990, "Nice numbers
for graph labels"); only ticks inside the range of the data are labelled, so that a curve fills its frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Scale:
    """Values in [low, high] → positions in [start, end] of the drawing, linear or logarithmic."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log10(low), math.log10(high), math.log10(max(value, low))
        share = (at - low) / (high - low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """About `count` round values inside the range."""
        return log_ticks(self.low, self.high) if self.log else ticks(self.low, self.high, count)


def finite_range(values: Iterable[float], *, log: bool = False) -> tuple[float, float]:
    """The least and greatest drawable value, widened where they coincide; (0, 1) where there is none."""
    drawable = [v for v in values if math.isfinite(v) and (v > 0 or not log)]
    if not drawable:
        return (0.1, 1.0) if log else (0.0, 1.0)
    low, high = min(drawable), max(drawable)
    if math.isclose(low, high, rel_tol=1e-12):
        return (low / 2, high * 2) if log else (low - (abs(low) or 1) * 0.1, high + (abs(high) or 1) * 0.1)
    return low, high


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Multiples of a 1-2-5 step inside [low, high], between count / 2 and about 2 count of them."""
    step = _step((high - low) / max(count, 1))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [n * step for n in range(first, last + 1)]


def _step(rough: float) -> float:
    """The 1-2-5 number nearest to `rough` on a logarithmic scale."""
    power = 10.0 ** math.floor(math.log10(rough))
    return power * min((1, 2, 5, 10), key=lambda n: abs(math.log(n * power / rough)))


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten inside [low, high]; 1-2-5 where fewer than three of them fit."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for digits in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)):
        candidates = [d * 10.0**e for e in range(first, last + 1) for d in digits]
        inside = [v for v in candidates if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]
        if len(inside) >= 3:
            return inside[:: math.ceil(len(inside) / 7)]
    return [low, high]


def tick_labels(values: Sequence[float], *, log: bool = False) -> list[str]:
    """Ticks of one axis in one format: 0.0005, 0.0010; 5,000, 10,000; 1e−6. On a logarithmic axis each has its own."""
    if log or len(values) < 2:
        return [_short(v) for v in values]
    largest, step = max(abs(v) for v in values), values[1] - values[0]
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e5, "k")):
        if limit <= largest < 1e12:
            return [_fixed(v / (1e3 if unit == "k" else limit), step / limit, unit) for v in values]
    return [_short(v) for v in values] if largest < 5e-4 or largest >= 1e12 else [_fixed(v, step) for v in values]


def _fixed(value: float, step: float, unit: str = "") -> str:
    """As many decimals as the step needs."""
    text = f"{value:,.{max(0, math.ceil(-math.log10(step) - 1e-9))}f}".replace("-", "−")
    return f"{text}{unit}" if value else "0"


def _short(value: float) -> str:
    """A number by itself in at most three significant digits."""
    size = abs(value)
    if value == 0 or 1e-3 <= size < 1e5:
        return f"{float(f'{value:.3g}'):,g}".replace("-", "−")
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}".replace("-", "−")


def apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions near `wanted` that lie at least `gap` apart inside [low, high] where they fit: labels must not
    overlap. Order is kept."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = [min(max(w, low), high) for w in wanted]
    for before, here in pairwise(order):
        placed[here] = max(placed[here], placed[before] + gap)
    if order and placed[order[-1]] > high:
        placed[order[-1]] = high
        for after, here in pairwise(reversed(order)):
            placed[here] = min(placed[here], placed[after] - gap)
    return placed
