"""Darknet-53 against timm's: the same names; with the same slope of its rectifiers, the same answers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sightline.models.create import create_model, outline
from tests.distinct import farthest, fill_lively, picture

timm = pytest.importorskip("timm")
torch.set_num_threads(1)


@torch.no_grad()
def test_same_names_and_answers() -> None:
    theirs = timm.create_model("darknet53", num_classes=7).eval()
    fill_lively(theirs, picture(4, 3, 96, 96), seed=1)
    for module in theirs.modules():
        if isinstance(module, nn.LeakyReLU):
            module.negative_slope = 0.1
    ours = create_model("darknet53", num_classes=7).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x, other = picture(2, 3, 75, 64), picture(2, 3, 75, 64, seed=2)
    assert farthest(theirs(other), theirs(x)) > 0.1  # the image matters
    assert farthest(ours(x), theirs(x)) <= 1e-5
    assert len(outline("darknet53").state_dict()) == len(theirs.state_dict())
