"""Numbers and names in sentences: as many digits as the sample size supports, units, real minus signs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sightline.drawing.svg import shortened

NOTHING = "–"  # in place of an undefined number
_THIN = "\u202f"  # narrow no-break space between a number and its unit


def percent(share: float | None, n: int | None = None) -> str:
    """0.9687 → "96.9 %". Decimals follow n: one image of fewer than 100 changes the value by more than a point. Only all
    of n are written as 100 %, and only none as 0 %."""
    if share is None or not math.isfinite(share):
        return NOTHING
    decimals = _decimals(n)
    while n and decimals < 4 and 0 < share < 1 and round(100 * share, decimals) in (0, 100):
        decimals += 1
    return f"{with_minus(100 * share, decimals)}{_THIN}%"


def percent_range(low: float | None, high: float | None, n: int | None = None) -> str:
    """0.946, 0.983 → "94.6–98.3 %". Only an end of exactly 1 is written as 100 %, and only one of exactly 0 as 0 %."""
    if low is None or high is None:
        return NOTHING
    decimals = _decimals(n)
    while decimals < 4 and any(0 < end < 1 and round(100 * end, decimals) in (0, 100) for end in (low, high)):
        decimals += 1
    return f"{with_minus(100 * low, decimals)}–{with_minus(100 * high, decimals)}{_THIN}%"


def points(difference: float, n: int | None = None) -> str:
    """A difference of two shares: "3.1 points"."""
    text = f"{100 * abs(difference):.{_decimals(n)}f}"
    return f"{text} point{'' if text in ('1', '1.0') else 's'}"


def _decimals(n: int | None) -> int:
    if n is None:
        return 1
    return 0 if n < 100 else 1 if n < 10_000 else 2


def with_minus(value: float, decimals: int) -> str:
    """A fixed-point number with a real minus sign."""
    return f"{value:,.{decimals}f}".replace("-", "−")


def decimal(value: float | None, digits: int = 3) -> str:
    """Three significant digits: 0.0123, 1.23, 123, 1.2e−5."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e6:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa}e{int(exponent)}".replace("-", "−")
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return with_minus(value, places)


def three_decimals(value: float | None) -> str:
    """Three decimals, for columns of small numbers."""
    return NOTHING if value is None or not math.isfinite(value) else with_minus(value, 3)


def quantity(count: float | None) -> str:
    """1234567 → "1.23 M"; below ten thousand in full."""
    if count is None or not math.isfinite(count):
        return NOTHING
    if abs(count) < 10_000:
        return with_minus(count, 0)
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(count) >= limit:
            return f"{decimal(count / limit)}{_THIN}{unit}"
    return with_minus(count, 0)


def duration(seconds: float | None) -> str:
    """8.2 s, 3 min 20 s, 2 h 5 min."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if seconds < 10:
        return f"{seconds:.1f}{_THIN}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{_THIN}s"
    if whole < 3600:
        return f"{whole // 60}{_THIN}min {whole % 60}{_THIN}s"
    minutes = round(seconds / 60)
    return f"{minutes // 60:,}{_THIN}h {minutes % 60}{_THIN}min"


def plural(n: int, one: str, many: str = "") -> str:
    """ "1 image", "360 images"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def quote(name: str, length: int = 40) -> str:
    """A name inside a sentence: “sidewinder”."""
    return f"“{shortened(name, length)}”"


def join_words(items: Sequence[str], last: str = "and") -> str:
    """ "a, b and c"."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def worst_and_others(worst: int, others: int, metric: str) -> str:
    """Which curves of a chart have a name: "Named: the 3 classes with the lowest F1; thin lines: 7 other classes"."""
    return f"Named: the {worst} classes with the lowest {metric}; thin lines: {plural(others, 'other class', 'other classes')}."
