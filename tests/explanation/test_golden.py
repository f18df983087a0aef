"""The rows of visualisation whose numbers can be worked out by hand, through the product's own methods."""

from __future__ import annotations

import torch
from torch import nn

from sightline.explanation.attribution.gradients import saliency
from sightline.explanation.attribution.perturbation import occlusion
from sightline.explanation.attribution.rectifiers import deconvnet, guided_backprop
from sightline.explanation.subject import Subject

FIRST = torch.tensor([0])


def test_three_rules_of_a_rectifier() -> None:
    """ReLU at [1, -1, 2, -3] with gradient [-1, 2, 3, 4] from above."""
    upstream = torch.tensor([-1.0, 2, 3, 4])
    subject = Subject(nn.ReLU(), lambda x: (subject.network(x).flatten(1) * upstream).sum(1, keepdim=True))
    pixels = torch.tensor([1.0, -1, 2, -3]).view(1, 1, 1, 4)
    expected = {saliency: [-1.0, 0, 3, 0], deconvnet: [0.0, 2, 3, 4], guided_backprop: [0.0, 0, 3, 0]}
    for method, values in expected.items():
        assert method(subject, pixels, FIRST).values.flatten().tolist() == values


def test_occlusion_by_patches_of_two_pixels() -> None:
    """The score is the sum of 0 … 15; the map is its fall, so what is left is the sum less the map."""
    subject = Subject(nn.Identity(), lambda x: x.flatten(1).sum(1, keepdim=True))
    pixels = torch.arange(16.0).view(1, 1, 4, 4)
    found = occlusion(subject, pixels, FIRST, window=2, stride=2, fill=0.0)
    assert (pixels.sum() - found.map[0, ::2, ::2]).tolist() == [[110, 102], [78, 70]]


def test_saliency_is_the_largest_magnitude_over_channels() -> None:
    weights = torch.tensor([[[0.1, -0.9]], [[-0.5, 0.2]], [[0.3, 0.4]]])
    subject = Subject(nn.Identity(), lambda x: (x * weights).sum((1, 2, 3))[:, None])
    found = saliency(subject, torch.rand(1, 3, 1, 2), FIRST)
    torch.testing.assert_close(found.map[0], torch.tensor([[0.5, 0.9]]), rtol=0, atol=1e-6)
