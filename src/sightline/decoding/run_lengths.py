"""Masks ↔ COCO's compressed run lengths (Lin et al. 2014, arXiv:1405.0312). No torch: exported models use it too."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool


def run_lengths(mask: Bool[np.ndarray, "n height width"]) -> tuple[bytes, ...]:
    """COCO's compressed counts of each mask: lengths of runs down the columns."""
    from faster_coco_eval.core import mask as coco

    columns = np.asfortranarray(mask.transpose(1, 2, 0), dtype=np.uint8)  # (h, w, n)
    return tuple(packed["counts"] for packed in coco.encode(columns)) if len(mask) else ()


def from_run_lengths(packed: tuple[bytes, ...], size: tuple[int, int]) -> Bool[np.ndarray, "n height width"]:
    """The masks (n, h, w) that `run_lengths` packed."""
    from faster_coco_eval.core import mask as coco

    if not packed:
        return np.zeros((0, *size), dtype=bool)
    whole: list[dict[str, Any]] = [{"size": list(size), "counts": counts} for counts in packed]
    return coco.decode(whole).astype(bool).transpose(2, 0, 1)
