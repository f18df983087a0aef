"""The named pipelines that recipes choose from."""

from __future__ import annotations

from collections.abc import Callable

from sightline.errors import UsageError, nearest

from .affine import Affine
from .moves import Flip, Shift
from .operation import Operation
from .pipeline import Pipeline
from .values import Colour, Erasing

# Side of the images → operations. Shifts by a tenth of the side, rounded up: 4 pixels of 32, 23 of 224.
PRESETS: dict[str, Callable[[int], tuple[Operation, ...]]] = {
    "none": lambda side: (),
    "light": lambda side: (Shift(-(-side // 10)), Flip()),
    "standard": lambda side: (Shift(-(-side // 10)), Flip(), Affine(), Colour(), Erasing()),
}


def preset(name: str, *, flip: bool, size: int) -> Pipeline:
    """The pipeline of that name for images whose shorter side has `size` pixels. Without `flip` nothing is mirrored:
    mirrored digits and text mean something else. Raises UsageError with the nearest name for an unknown one."""
    if name not in PRESETS:
        raise UsageError(f"unknown augmentation {name!r}", nearest(name, PRESETS))
    return Pipeline(tuple(op for op in PRESETS[name](size) if flip or not isinstance(op, Flip)))
