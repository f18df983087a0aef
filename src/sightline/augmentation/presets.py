"""The named pipelines that recipes choose from."""

from __future__ import annotations

from collections.abc import Callable

from sightline.errors import UsageError, nearest

from .affine import Affine
from .elastic import Elastic
from .moves import Flip, Shift
from .operation import Operation
from .pipeline import Pipeline
from .values import Colour, Erasing

_CAMERA_ON_A_CAR = Affine(rotate=3.0, scale=0.25, shear=0.0)  # the horizon stays level, distances do not
_ANY_WEATHER = Colour(brightness=0.4, contrast=0.3, saturation=0.3)
_ANY_WAY_UP = Affine(rotate=45.0, scale=0.15, shear=5.0)  # tissue has no horizon
_ONE_SCANNER = Colour(brightness=0.1, contrast=0.15, saturation=0.1)  # grey levels and stains carry the finding

# Side of the images → operations. Shifts by a tenth of the side, rounded up: 4 pixels of 32, 23 of 224.
PRESETS: dict[str, Callable[[int], tuple[Operation, ...]]] = {
    "none": lambda side: (),
    "light": lambda side: (Shift(-(-side // 10)), Flip()),
    "elastic": lambda side: (Affine(rotate=12.0, scale=0.15, shear=8.0, translate=0.07), _elastic(side)),
    "driving": lambda side: (Shift(-(-side // 10)), Flip(), _CAMERA_ON_A_CAR, _ANY_WEATHER),
    "medical": lambda side: (Flip(), _ANY_WAY_UP, _ONE_SCANNER),
    "standard": lambda side: (Shift(-(-side // 10)), Flip(), Affine(), Colour(), Erasing()),
}


def _elastic(side: int) -> Elastic:
    """Simard's distortion, in proportion to the side. Its cost grows with the cube of the side, so only for small images."""
    if side > 128:
        raise UsageError(
            f"augment.preset=elastic is for images of up to 128 pixels, not {side}", "use augment.preset=standard"
        )
    return Elastic(sigma=side / 7, deviation=side / 20)


def preset(name: str, *, flip: bool, size: int) -> Pipeline:
    """The pipeline of that name for images whose shorter side has `size` pixels. Without `flip` nothing is mirrored:
    mirrored digits and text mean something else. Raises UsageError with the nearest name for an unknown one."""
    if name not in PRESETS:
        raise UsageError(f"unknown augmentation {name!r}", nearest(name, PRESETS))
    return Pipeline(tuple(op for op in PRESETS[name](size) if flip or not isinstance(op, Flip)))
