"""Golden numbers about found boxes: how much two of them share. What a ranking of them is worth is in `metrics.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sightline.losses.regions import objectness
from sightline.losses.regression import smooth_l1
from sightline.metrics.matching import box_overlap
from sightline.structures.regions import RegionSamples
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


@golden("faster-speedups")
def _speedups(inputs: Inputs) -> list[float]:
    """The table on the page of region proposals has these seconds, and the speed-ups that follow from them."""
    page = (Path(__file__).parents[2] / "docs" / "region-proposals.md").read_text(encoding="utf-8")
    seconds, speedups = (
        [float(cell) for cell in next(row for row in page.splitlines() if row.startswith(f"| {head}")).split("|")[2:-1]]
        for head in ("seconds an image", "speed-up")
    )
    assert seconds == inputs["sec"]
    assert np.allclose(speedups, [seconds[0] / s for s in seconds])
    return speedups


@golden("rpn-loss")
def _proposal_loss(inputs: Inputs) -> dict[str, float]:
    """Equation 1 of Faster R-CNN with its smooth L1 (β = 1); region networks are trained with β = 1/9, as torchvision's are."""
    p, positive = (torch.tensor(inputs[name], dtype=torch.float64) for name in ("p", "p_star"))
    anchors = torch.arange(len(p))
    samples = RegionSamples(anchors, torch.zeros_like(anchors), torch.where(positive > 0, 0, -1))
    classes = float(objectness((p / (1 - p)).log()[None], samples)[0])
    difference = torch.tensor(inputs["t_minus_tstar"], dtype=torch.float64)
    known = (positive > 0)[:, None].expand_as(difference)
    mean, weight = smooth_l1(difference, torch.zeros_like(difference), known=known)
    boxes = float(mean * weight) / len(p)
    return {"cls": classes, "reg": boxes, "total": classes + boxes}
