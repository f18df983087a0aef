"""Golden numbers about found boxes: how much two of them share. What a ranking of them is worth is in `metrics.json`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sightline.metrics.matching import box_overlap
from tests.golden.rows import Golden

golden = Golden("detection")
Inputs = dict[str, Any]


@pytest.mark.parametrize("identifier", golden.rows)
def test_row(identifier: str) -> None:
    golden.check(identifier)


def test_every_row_is_computed() -> None:
    assert golden.computed.keys() == golden.rows.keys()


@golden("iou-basic")
def _overlaps(inputs: Inputs) -> list[float]:
    a, b = (np.array(inputs[name], dtype=float) for name in ("a", "b"))
    return np.diag(box_overlap(a, b)).tolist()
