"""Golden numbers about detection: how much two boxes share, and YOLO's loss. What a ranking of boxes is worth is in
`metrics.json`."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sightline.losses.detection.yolo_v1 import cell_loss
from sightline.losses.regions import objectness
from sightline.losses.regression import smooth_l1
from sightline.metrics.matching import box_overlap
from sightline.structures.grids import CellPredictions, CellTargets
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


@golden("yolo-loss")
def _yolo_loss(inputs: Inputs) -> dict[str, float]:
    """A grid of one cell: units of the cell are units of the image."""
    boxes = torch.tensor(inputs["pred_boxes"], dtype=torch.float64)
    boxes = torch.cat((boxes[:, :2], boxes[:, 2:].sqrt()), 1)[None, None, None]  # (1, 1, 1, 2, 4)
    confidence, classes = (torch.tensor(inputs[name], dtype=torch.float64) for name in ("pred_conf", "pred_cls"))
    true, label = torch.tensor([inputs["true_box"]], dtype=torch.float64), inputs["true_cls"].index(1)
    cell = torch.zeros(1, 3, dtype=torch.long)
    targets = CellTargets(cell, true, torch.tensor([label]), cell[:, 0], torch.zeros(1, 1, 1, dtype=torch.bool))
    predicted = CellPredictions(boxes, confidence[None, None, None], classes[None, None, None])
    loss = cell_loss(predicted, targets, confidence=torch.ones(1, dtype=torch.float64))
    names = {"xy": loss.xy, "wh": loss.wh, "obj": loss.objects, "noobj": loss.background, "cls": loss.classes}
    terms = {name: float(term[0]) for name, term in names.items()}
    return terms | {"total": sum(terms.values())}


@golden("yolo-loss-bounds")
def _yolo_sums(inputs: Inputs) -> dict[str, int]:
    """As many terms as there are: without objects and with a confidence of 1, each costs λnoobj = 0.5."""

    def terms(side: int, predictors: int) -> int:
        none = torch.zeros(0, dtype=torch.long)
        grid = torch.zeros(1, side, side, dtype=torch.bool)
        predicted = CellPredictions(
            torch.zeros(1, side, side, predictors, 4),
            torch.ones(1, side, side, predictors),
            torch.zeros(1, side, side, 2),
        )
        empty = CellTargets(none.new_zeros(0, 3), torch.zeros(0, 4), none, none, grid)
        return round(float(cell_loss(predicted, empty).background) / 0.5)

    return {"cells": terms(inputs["S"], 1), "predictors": terms(1, inputs["B"])}


@golden("yolo-double-map")
def _double(inputs: Inputs) -> float:
    """The figures are those of the table of claims; 30Hz DPM is the fastest detector before it in the same paper."""
    table = Path(__file__).parents[2] / "benchmarks/claims.csv"
    (claim,) = (row["claim"] for row in csv.DictReader(table.open()) if row["model"] == "fast_yolo")
    fast, _, dpm = map(float, re.findall(r"\d+\.?\d*(?= mAP| images| of DPM)", claim))
    assert (fast, dpm) == (inputs["fast_yolo"], inputs["dpm"])
    return fast / dpm
