"""What an attack wants of an answer that has places: of the classes of pixels, or of objects."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Aim:
    """target   index of the class to reach; None: anything but the truth
    region   index of the class whose pixels or objects alone are attacked and counted; None: all
    object   number of the detection that alone is attacked, 0 the surest; None: all objects
    """

    target: int | None = None
    region: int | None = None
    object: int | None = None
