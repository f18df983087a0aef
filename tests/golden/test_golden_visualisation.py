"""Numbers of the lecture about heat maps, each computed by the product. `visualisation.json` holds the rows as given."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from sightline.explanation.attribution.gradients import saliency
from sightline.explanation.attribution.perturbation import occlusion
from sightline.explanation.attribution.rectifiers import deconvnet, guided_backprop
from sightline.explanation.subject import Subject
from tests.golden.rows import Golden

golden = Golden("visualisation")
Inputs = dict[str, Any]
FIRST = torch.tensor([0])


@pytest.mark.parametrize("identifier", golden.rows)
def test_row(identifier: str) -> None:
    golden.check(identifier)


def test_every_row_is_computed() -> None:
    assert golden.computed.keys() == golden.rows.keys()


@golden("guided-backprop")
def _three_rules(inputs: Inputs) -> dict[str, Any]:
    """The score is the ReLU's output weighted by the gradient that comes from above."""
    upstream = torch.tensor(inputs["grad"]).float()
    subject = Subject(nn.ReLU(), lambda x: (subject.network(x).flatten(1) * upstream).sum(1, keepdim=True))
    pixels = torch.tensor(inputs["forward"]).float().view(1, 1, 1, -1)
    methods = {"backprop": saliency, "deconvnet": deconvnet, "guided": guided_backprop}
    return {name: method(subject, pixels, FIRST).values.flatten().tolist() for name, method in methods.items()}


@golden("occlusion-map")
def _occlusion(inputs: Inputs) -> list[Any]:
    """The product's map is the fall of the score; the row has what is left of it."""
    subject = Subject(nn.Identity(), lambda x: x.flatten(1).sum(1, keepdim=True))
    pixels, step = torch.arange(16.0).view(1, 1, 4, 4), inputs["stride"]
    found = occlusion(subject, pixels, FIRST, window=inputs["patch"], stride=step, fill=0.0)
    left: list[Any] = (pixels.sum() - found.map[0, ::step, ::step]).tolist()
    return left


@golden("saliency-map")
def _saliency(inputs: Inputs) -> list[Any]:
    weights = torch.tensor(inputs["w"])
    subject = Subject(nn.Identity(), lambda x: (x * weights).sum((1, 2, 3))[:, None])
    found: list[Any] = saliency(subject, torch.rand(1, *weights.shape), FIRST).map[0].tolist()
    return found
