"""Numbers of the lecture about seeing, each computed by the product. `seeing.json` holds the rows as given."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from sightline.augmentation.views import ten_crop
from sightline.lab.experiments.convolution.sliding_classifier import WINDOW, classifier
from sightline.lab.experiments.vision.position_embeddings import REPORTED
from sightline.lab.seeing.kernels import gabor
from sightline.models.sliding import as_convolution
from tests.golden.rows import Golden

torch.set_num_threads(1)
golden = Golden("seeing")
Inputs = dict[str, Any]


@pytest.mark.parametrize("identifier", golden.rows)
def test_row(identifier: str) -> None:
    golden.check(identifier)


@golden("conv-sliding-window")
def _(inputs: Inputs) -> Any:
    network = as_convolution(classifier(), (1, WINDOW, WINDOW))
    with torch.no_grad():
        return [list(network(torch.zeros(1, 1, side, side)).shape[2:]) for side in inputs["inputs"]]


@golden("gabor-values")
def _(inputs: Inputs) -> Any:
    assert inputs["theta"] == "pi/4"
    x, y = torch.tensor(inputs["points"], dtype=torch.float64).unbind(1)
    kernel = gabor(
        x, y, wavelength=inputs["lam"], orientation=math.pi / 4, phase=inputs["psi"], sigma=inputs["sigma"],
        aspect=inputs["gamma"],
    )  # fmt: skip
    return torch.view_as_real(kernel).tolist()


@golden("ten-crop")
def _(inputs: Inputs) -> Any:
    views = ten_crop(torch.arange(36.0).view(1, 1, 6, 6), 4)
    assert views.shape[1] == (inputs["corners"] + inputs["center"]) * inputs["flips"]
    assert len({tuple(v.flatten().tolist()) for v in views[0]}) == views.shape[1]
    return views.shape[1]


@golden("vit-posemb-table")
def _(inputs: Inputs) -> Any:
    """The experiment quotes the paper's table, in which every kind of position embedding beats none."""
    assert [REPORTED[name] for name in ("none", "learned, 1-D", "learned, 2-D", "relative")] == [
        inputs[key] for key in ("none", "one_d", "two_d", "rel")
    ]
    assert min(value for name, value in REPORTED.items() if name != "none") > REPORTED["none"]
    return REPORTED["learned, 1-D"] - REPORTED["none"]
