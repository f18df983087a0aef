"""Which of the network's pixels show an original image. No torch: exported models use it too."""

from __future__ import annotations

from collections.abc import Sequence

_WHOLE = 0.01  # pixels of tolerance: frames are float32


def covered(row: Sequence[float], axis: int, natural: tuple[int, int], side: int) -> slice | None:
    """The pixels of the scores, along x (0) or y (1), that the original covers exactly; None where it covers parts of
    pixels, extends beyond them, or is rotated or mirrored. `row` is that of the frame (3, 3) for this axis, `side` the
    scores' width or height.

    100 pixels at scale 0.32 that start at 16 end at 16 + 32 = 48: slice(16, 48). At scale 0.325 they end at 48.5: None.
    """
    scale, shear, start = row[axis], row[1 - axis], row[2]
    stop = start + scale * natural[1 - axis]
    first, last = round(start), round(stop)
    exact = abs(start - first) < _WHOLE and abs(stop - last) < _WHOLE
    return slice(first, last) if exact and shear == 0 and 0 <= first < last <= side else None
