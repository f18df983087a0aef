"""Numbers of the lecture about adversarial images, each computed by the product. `adversarial.json` holds the rows as given."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from sightline.attacks.gradient.fgsm import fgsm
from sightline.attacks.search.one_pixel import one_pixel
from tests.golden.rows import Golden

golden = Golden("adversarial")
Inputs = dict[str, Any]


@pytest.mark.parametrize("identifier", golden.rows)
def test_row(identifier: str) -> None:
    golden.check(identifier)


def test_every_row_is_computed() -> None:
    assert golden.computed.keys() == golden.rows.keys()


@golden("fgsm")
def _fgsm(inputs: Inputs) -> dict[str, Any]:
    """The logistic loss is the cross-entropy of the scores (0, w·x)."""
    x = torch.tensor(inputs["x"]).view(1, 1, 1, -1)
    weight = torch.tensor(inputs["w"], dtype=torch.float32)

    def scores(pixels: Tensor) -> Tensor:
        score = pixels.flatten(1) @ weight
        return torch.stack([torch.zeros_like(score), score], 1)

    moved = fgsm(scores, x, torch.tensor([inputs["y"]]), eps=inputs["eps"])
    return {"x_adv": moved.flatten().tolist(), "linf": float((moved - x).abs().max())}


@golden("one-pixel")
def _one_pixel(inputs: Inputs) -> int:
    x = torch.randint(0, 256, (1, 3, 6, 6)).float()
    moved = one_pixel(
        lambda pixels: pixels.mean((2, 3)), x, torch.tensor([0]), population=20, generations=5, ids=torch.tensor([4])
    )
    return int((moved.float() != x).any(1).sum())
