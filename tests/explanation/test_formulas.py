"""Maps against their formulas, stored references and small cases that can be followed by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from sightline.explanation.attribution.attention import attention, attention_weights, rolled_out, rollout
from sightline.explanation.attribution.cam import grad_cam, grad_cam_plus_plus_map
from sightline.explanation.attribution.gradients import smoothgrad
from sightline.explanation.attribution.integrated import integrated_gradients
from sightline.explanation.attribution.methods import METHODS
from sightline.explanation.attribution.perturbation import occlusion, random_masks, rise
from sightline.explanation.subject import Refused, Subject, subject_of
from sightline.models.create import create_model
from tests.distinct import fill_distinct

FIRST = torch.tensor([0])


def test_grad_cam_plus_plus_equals_the_stored_reference() -> None:
    """`map` is that of pytorch-grad-cam 1.5.7 for these activations and gradients, before its division by the maximum:

    cam = GradCAMPlusPlus.__new__(GradCAMPlusPlus)
    weights = cam.get_cam_weights(None, None, None, activation, slope)
    map = np.maximum((weights[:, :, None, None] * activation).sum(1), 0)
    """
    stored = json.loads((Path(__file__).parent / "references" / "grad_cam_plus_plus.json").read_text())
    activation, slope, expected = (torch.tensor(stored[key]) for key in ("activation", "slope", "map"))
    found = grad_cam_plus_plus_map(activation, slope)[:, 0]
    assert float(expected.max()) > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def vit() -> tuple[Subject, Tensor]:
    network = create_model("vit_ti_16", num_classes=4, small_images=True).eval()
    fill_distinct(network, seed=2)
    return subject_of(network), torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 255


def test_attention_weights_are_those_of_the_layers(vit: tuple[Subject, Tensor]) -> None:
    subject, pixels = vit
    expected = subject.network.attention(pixels / 255)
    found = attention_weights(subject, pixels)
    assert len(found) == len(expected) == 12
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_rollout_follows_its_formula(vit: tuple[Subject, Tensor]) -> None:
    subject, pixels = vit
    layers = attention_weights(subject, pixels)
    expected = torch.eye(65).repeat(2, 1, 1)
    for (
        weights
    ) in layers:  # Abnar & Zuidema 2020, equation 1: A = 0.5 W + 0.5 I, rollout = A · that of the layers below
        expected = torch.bmm(0.5 * weights.mean(1) + 0.5 * torch.eye(65), expected)
    torch.testing.assert_close(rolled_out(layers), expected)
    torch.testing.assert_close(rolled_out(layers).sum(-1), torch.ones(2, 65))
    found = rollout(subject, pixels, torch.tensor([0, 0]))
    corners = expected[:, 0, 1:].view(2, 8, 8)
    torch.testing.assert_close(found.values[:, 0, 0, 0], corners[:, 0, 0])  # bilinear, clamped at the corner
    assert found.settings["tokens_ahead"] == 1


def test_vits_of_other_libraries_need_no_adapter() -> None:
    pixels = torch.rand(1, 3, 32, 32) * 255
    torch.manual_seed(0)
    theirs = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, depth=2, num_classes=3)
    other = torchvision.models.VisionTransformer(32, 8, 2, 2, 32, 64, num_classes=3)
    nn.init.normal_(other.heads.head.weight, std=0.1)
    for network in (theirs, other):
        network.eval()
        subject = subject_of(network)
        weights = attention_weights(subject, pixels)
        assert len(weights) == 2 and weights[0].shape[-2:] == (17, 17)
        torch.testing.assert_close(weights[0].sum(-1), torch.ones(weights[0].shape[:-1]))
        assert attention(subject, pixels, FIRST).settings["grid"] == [4, 4]
        cam = grad_cam(subject, pixels, FIRST)
        assert cam.settings["grid"] == [4, 4] and ("norm1" in cam.settings["layer"] or "ln_1" in cam.settings["layer"])


@pytest.mark.parametrize(
    ("name", "layer", "grid"),
    [("resnet18", "layer4", 2), ("densenet121", "features", 2), ("squeezenet1_1", "classifier.1", 3)],
)
def test_the_layer_of_other_peoples_networks(name: str, layer: str, grid: int) -> None:
    network = torchvision.models.get_model(name, num_classes=3).eval()
    found = grad_cam(subject_of(network), torch.rand(1, 3, 64, 64) * 255, FIRST)
    assert found.settings["layer"] == layer and found.settings["grid"] == [grid, grid]


def test_windowed_attention_is_refused() -> None:
    network = torchvision.models.swin_transformer.SwinTransformer(
        [4, 4], 16, [1, 1], [1, 2], [4, 4], num_classes=3
    ).eval()
    with pytest.raises(Refused, match="window"):
        rollout(subject_of(network), torch.rand(1, 3, 64, 64) * 255, FIRST)
    assert grad_cam(subject_of(network), torch.rand(1, 3, 64, 64) * 255, FIRST).settings["grid"] == [8, 8]


def _of_function(function: nn.Module | None = None, **options: object) -> Subject:
    return Subject(nn.Identity(), lambda x: x.flatten(1).sum(1, keepdim=True).pow(2), **options)


def test_integrated_gradients_sum_to_the_difference_of_scores() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 16, 2)).eval()
    subject, pixels = subject_of(network), torch.rand(1, 1, 6, 6) * 255
    found = integrated_gradients(subject, pixels, FIRST, steps=4)
    difference = subject.score(pixels, FIRST) - subject.score(torch.zeros_like(pixels), FIRST)
    torch.testing.assert_close(found.values.sum((1, 2, 3)), difference.detach(), rtol=0.01, atol=0)
    assert not found.notes and found.settings["baseline"] == 0.0


def test_integrated_gradients_double_their_steps_and_say_where_that_is_not_enough() -> None:
    def jagged(x: Tensor) -> Tensor:  # a path through many kinks
        total = x.sum((1, 2, 3))
        return (total / 50 + 4 * torch.sin(total * 3.1))[:, None]

    pixels = torch.full((1, 1, 4, 4), 99.7)
    found = integrated_gradients(Subject(nn.Identity(), jagged), pixels, FIRST, steps=3, most=12)
    assert found.settings["steps"] == [9] and found.settings["incompleteness"][0] > 0.01
    assert found.notes and found.notes[0].startswith("not converged: after 9 points")


def test_occlusion_falls_where_the_score_is() -> None:
    """The score is the brightness of one corner, so only patches over it change it."""
    subject = Subject(
        nn.Identity(), lambda x: torch.stack([x[:, 0, :2, :2].sum((1, 2)), x[:, 0, 4:, 4:].sum((1, 2))], 1) / 255
    )
    pixels = torch.full((1, 1, 8, 8), 255.0)
    found = occlusion(subject, pixels, FIRST, window=2, stride=2, fill=0.0)
    expected = torch.zeros(8, 8)
    expected[:2, :2] = 4.0
    torch.testing.assert_close(found.map[0], expected)
    assert found.settings["lowest_confidence"][0] < found.settings["confidence"][0]
    assert "most important patch moves the probability" in found.notes[0]


def test_rise_finds_the_quadrant_and_masks_depend_on_their_number_only() -> None:
    subject = Subject(nn.Identity(), lambda x: x[:, 0, 16:, 16:].mean((1, 2))[:, None] / 255, classes=False)
    pixels = torch.full((1, 1, 32, 32), 255.0)
    heat = rise(subject, pixels, FIRST, masks=300).map[0]
    assert heat[18:, 18:].mean() > 5 * heat[:14, :14].abs().mean()
    all_masks = random_masks(torch.arange(6), 20, 30, grid=7, shown=0.5, seed=4)
    assert all_masks.shape == (6, 20, 30) and float(all_masks.min()) >= 0 and float(all_masks.max()) <= 1
    assert torch.equal(random_masks(torch.tensor([5, 2]), 20, 30, grid=7, shown=0.5, seed=4), all_masks[[5, 2]])
    many = random_masks(torch.arange(400), 20, 30, grid=7, shown=0.5, seed=4)
    assert float(many.mean()) == pytest.approx(0.5, abs=0.02)


def test_smoothgrad_is_the_gradient_without_noise_and_repeatable_with_it() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, 2)).eval()
    subject, pixels = subject_of(network), torch.rand(2, 1, 6, 6) * 255
    target = torch.tensor([0, 1])
    plain = METHODS["gradient"].explain(subject, pixels, target).values
    torch.testing.assert_close(smoothgrad(subject, pixels, target, noise=0.0, samples=3).values, plain)
    noisy = smoothgrad(subject, pixels, target, samples=9).values
    assert not torch.allclose(noisy, plain)
    assert torch.equal(smoothgrad(subject, pixels[1:], target[1:], samples=9).values, noisy[1:])


def test_a_score_without_a_gradient_gives_a_map_of_zeros() -> None:
    subject = Subject(nn.Identity(), lambda x: torch.zeros(len(x), 2))
    found = METHODS["gradient"].explain(subject, torch.rand(1, 3, 4, 4), FIRST)
    assert not np.asarray(found.map).any()
