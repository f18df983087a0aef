"""Numbers of the lecture about pixels and about VGG, each computed by the product. `segmentation.json` holds the rows as
given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sightline.losses.segmentation import class_planes, pixel_cross_entropy
from sightline.metrics.segmentation import pixel_confusion, segmentation_metrics
from sightline.models.describe import describe
from sightline.structures.rows.segments import SegmentRows
from tests.golden.rows import Golden

torch.set_num_threads(1)
golden = Golden("segmentation")
Inputs = dict[str, Any]
NAMES = ["vgg11", "vgg13", "vgg16c", "vgg16", "vgg19"]  # A to E


@pytest.mark.parametrize("identifier", golden.rows)
def test_row(identifier: str) -> None:
    golden.check(identifier)


def test_every_row_is_computed() -> None:
    assert golden.computed.keys() == golden.rows.keys()


# ------------------------------------------------------------------------------------------------------------- pixels
def _all_background(inputs: Inputs) -> dict[str, float | None]:
    """The metrics of one image whose foreground is missed entirely."""
    assert inputs["pred"] == "all background"
    truth = (np.arange(inputs["n"]) < inputs["foreground"]).astype(np.int64).reshape(10, -1)  # (n,) → (10, n / 10)
    confusion = pixel_confusion(truth, np.zeros_like(truth), 2)
    rows = SegmentRows(
        np.zeros(1, np.int64), confusion[None], np.zeros((1, 4), np.int64), np.zeros(1), np.full(1, inputs["n"])
    )
    return segmentation_metrics(rows)


golden("dice-score-example")(lambda inputs: _all_background(inputs)["mean_dice"])


@golden("seg-metrics-95")
def _(inputs: Inputs):
    metrics = _all_background(inputs)
    return {"pixel_acc": metrics["pixel_accuracy"], "miou": metrics["mean_iou"]}


@golden("onehot-2x2")
def _(inputs: Inputs):
    return class_planes(torch.tensor([inputs["labels"]]), inputs["classes"])[0].int().tolist()


@golden("pixel-ce")
def _(inputs: Inputs):
    logits, labels = torch.tensor([inputs["logits"]]).double(), torch.tensor([inputs["labels"]])
    mean, weight = pixel_cross_entropy(logits, labels)
    assert weight == 4
    return mean.item()


def test_dice_is_no_twice_iou() -> None:
    """Printed: 2 · intersection / union, which is 2 · IoU and can exceed 1. Right: 2 · IoU / (1 + IoU)."""
    confusion = np.array([[[6, 1], [2, 11]]])
    zero = np.zeros(1, np.int64)
    metrics = segmentation_metrics(SegmentRows(zero, confusion, np.zeros((1, 4), np.int64), np.zeros(1), zero + 20))
    iou = np.array([6 / 9, 11 / 14])
    assert metrics["mean_iou"] == pytest.approx(iou.mean())
    assert metrics["mean_dice"] == pytest.approx((2 * iou / (1 + iou)).mean())
    assert 2 * iou.mean() > 1 > metrics["mean_dice"]


# ---------------------------------------------------------------------------------------------------------------- VGG
def _parameters() -> list[int]:
    return [describe(name)["parameters"] for name in NAMES]


golden("vgg-params-exact")(lambda inputs: _parameters())
golden("vgg-params-AE")(lambda inputs: [count / 1e6 for count in _parameters()])
golden("vgg16-summary-total")(lambda inputs: describe("vgg16", num_classes=inputs["classes"])["parameters"])


@golden("vgg-depths")
def _(inputs: Inputs):
    kinds = (nn.Conv2d.__name__, nn.Linear.__name__)
    return [sum(layer["kind"] in kinds for layer in describe(name)["layers"]) for name in NAMES]


@golden("vgg-double-rule")
def _(inputs: Inputs):
    poolings = [layer for layer in describe("vgg16")["layers"] if layer["kind"] == "MaxPool2d"]
    return [layer["output"][0] for layer in poolings]


@golden("vgg16-shapes")
def _(inputs: Inputs):
    side = inputs["input"]
    layers = describe("vgg16", input=(3, side, side))["layers"]
    sizes = [layer["output"][1] for layer in layers if layer["kind"] == "MaxPool2d"]
    dense = next(layer for layer in layers if layer["kind"] == "Linear")
    return {"sizes": sizes, "flatten": dense["parameters"] // dense["output"][0] - 1}  # a bias each


KERAS = [1792, 36928, 73856, 147584, 295168, 590080, 590080, 1180160, *[2359808] * 5, 102764544, 16781312, 8194]


def test_layer_table_of_two_classes() -> None:
    """The lecture's printed summary, layer by layer."""
    layers = describe("vgg16", num_classes=2)["layers"]
    assert [layer["parameters"] for layer in layers if layer["parameters"]] == KERAS
