"""The style of one picture with the content of another: both losses fall, and statistics become those of the style."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.sampling.style import adain, gram, stylised


class _Layers(nn.Module):
    """Random filters at two sizes: the style of a picture is in their Gram matrices, trained or not."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Sequence[Tensor]:
        first = self.one(x / 255).relu()
        return first, self.two(first).relu()


def _pictures() -> tuple[Tensor, Tensor]:
    """A bright square on grey, and stripes of two colours across each other."""
    content = torch.full((3, 24, 24), 90, dtype=torch.uint8)
    content[:, 6:18, 6:18] = 220
    style = torch.full((3, 24, 24), 40, dtype=torch.uint8)
    style[0, ::3], style[1, :, ::5] = 200, 160
    return content, style


def test_both_losses_fall_by_four_fifths_and_the_result_is_a_function_of_the_seed() -> None:
    content, style = _pictures()
    made = stylised(_Layers(), content, style, steps=100)
    assert made.image.shape == content.shape and made.image.dtype == torch.uint8
    assert made.content <= 0.2 and made.style <= 0.2, (made.content, made.style)
    again = stylised(_Layers(), content, style, steps=100)
    assert torch.equal(made.image, again.image)
    assert not torch.equal(made.image, stylised(_Layers(), content, style, steps=100, seed=1).image)


def test_without_style_the_content_comes_back() -> None:
    content, style = _pictures()
    made = stylised(_Layers(), content, style, weight=0.0, steps=100, content_layer=0)
    assert made.content < 0.05 < made.style, (made.content, made.style)


def test_a_gram_matrix_knows_no_places() -> None:
    feature = torch.randn(2, 5, 4, 6)
    assert torch.allclose(gram(feature), gram(feature.flip(3).roll(1, 2)), atol=1e-6)
    assert torch.allclose(gram(feature)[1, 2, 3], (feature[1, 2] * feature[1, 3]).mean(), atol=1e-6)


def test_adaptive_norm_gives_the_statistics_of_the_style() -> None:
    content, style = torch.randn(2, 3, 8, 8), 3 + 2 * torch.randn(2, 3, 5, 9)
    made = adain(content, style)
    assert torch.allclose(made.mean((2, 3)), style.mean((2, 3)), atol=1e-4)
    assert torch.allclose(made.std((2, 3), correction=0), style.std((2, 3), correction=0), atol=1e-3)
    assert torch.allclose(adain(content, content), content, atol=1e-3), "its own style changes nothing"


def test_what_makes_no_picture_is_an_error() -> None:
    content, style = _pictures()
    with pytest.raises(UsageError, match="steps=0"):
        stylised(_Layers(), content, style, steps=0)
    with pytest.raises(UsageError, match="3 channels and the style 1"):
        stylised(_Layers(), content, style[:1])
