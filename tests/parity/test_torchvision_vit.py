"""Vision Transformers against torchvision: its values load strictly and answer alike."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sightline.models import MODELS
from sightline.models.create import outline
from sightline.models.describe import describe
from sightline.models.transformers.vit import Size, VisionTransformer, as_torchvision
from tests.distinct import fill_distinct

torchvision = pytest.importorskip("torchvision")
torch.set_num_threads(1)

NAMES = ["vit_b_16", "vit_b_32", "vit_l_16", "vit_l_32"]


def built(size: Size, patch: int, image: int, classes: int) -> nn.Module:
    """torchvision's network of this size, every value distinct."""
    width, depth, heads = size
    theirs = torchvision.models.VisionTransformer(
        image, patch, depth, heads, width, 4 * width, num_classes=classes
    ).eval()
    fill_distinct(theirs, seed=1)
    return theirs


@pytest.mark.parametrize("name", NAMES)
def test_same_names_and_shapes(name: str) -> None:
    ours = outline(name)
    with torch.device("meta"):
        theirs = torchvision.models.get_model(name, weights=None)
    renamed = as_torchvision(theirs.state_dict())
    assert {key: x.shape for key, x in ours.state_dict().items()} == {key: x.shape for key, x in renamed.items()}
    assert [
        len(block.self_attention.in_proj_weight) // block.self_attention.heads for block in ours.encoder.layers
    ] == [3 * 64] * len(theirs.encoder.layers)
    assert {layer.eps for layer in ours.modules() if isinstance(layer, nn.LayerNorm)} == {1e-6}


@pytest.mark.parametrize(
    ("name", "parameters", "giga"),
    [
        ("vit_b_16", 86_567_656, 17.564),
        ("vit_b_32", 88_224_232, 4.409),
        ("vit_l_16", 304_326_632, 61.555),
        ("vit_l_32", 306_535_400, 15.378),
    ],
)
def test_documented_totals(name: str, parameters: int, giga: float) -> None:
    """torchvision documents multiply-adds with those of attention."""
    table = describe(name)
    assert table["parameters"] == parameters
    assert round((table["multiply_adds"] + table["attention_multiply_adds"]) / 1e9, 3) == giga
    tokens, width, depth = {
        "vit_b_16": (197, 768, 12),
        "vit_b_32": (50, 768, 12),
        "vit_l_16": (197, 1024, 24),
        "vit_l_32": (50, 1024, 24),
    }[name]
    assert table["attention_multiply_adds"] == 2 * depth * tokens**2 * width


@torch.no_grad()
def test_same_answers_of_vit_b_32() -> None:
    theirs = built(Size(768, 12, 12), 32, 224, 1000)
    ours = MODELS["vit_b_32"]().eval()
    ours.load_state_dict(as_torchvision(theirs.state_dict()), strict=True)
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    expected = theirs(x)
    scale = expected.abs().max()
    assert 1e-2 < scale < 100
    assert (ours(x) - expected).abs().max() <= 2e-6 * scale


@pytest.mark.parametrize(
    ("size", "patch", "image"), [(Size(768, 3, 12), 16, 224), (Size(1024, 2, 16), 32, 224), (Size(48, 4, 6), 8, 40)]
)
@torch.no_grad()
def test_same_answers_of_fewer_blocks(size: Size, patch: int, image: int) -> None:
    theirs = built(size, patch, image, 10)
    ours = VisionTransformer(size, patch, num_classes=10, image_size=(image, image)).eval()
    ours.load_state_dict(as_torchvision(theirs.state_dict()), strict=True)
    x = torch.randn(2, 3, image, image, generator=torch.Generator().manual_seed(0))
    expected = theirs(x)
    scale = expected.abs().max()
    assert (ours(x) - expected).abs().max() <= 1e-6 * scale
    first, second = ours.encoder.layers[0], ours.encoder.layers[1]
    swaps = [("ln_1", "ln_2"), ("self_attention", None), ("mlp", None)]
    for one, other in swaps:
        kept = getattr(first, one)
        _swap(first, one, first if other else second, other or one)
        assert (ours(x) - expected).abs().max() > 1e-4 * scale, one
        _swap(first, one, first if other else second, other or one)
        assert getattr(first, one) is kept
    assert (ours(x) - expected).abs().max() <= 1e-6 * scale


def _swap(a: nn.Module, name: str, b: nn.Module, other: str) -> None:
    first, second = getattr(a, name), getattr(b, other)
    setattr(a, name, second)
    setattr(b, other, first)


def test_older_files_load() -> None:
    """The published weights were written when the MLP's layers had names."""
    theirs = built(Size(48, 2, 6), 8, 16, 10)
    older = {
        key.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): x
        for key, x in theirs.state_dict().items()
    }
    renamed = as_torchvision(older)
    assert all(torch.equal(x, renamed[key]) for key, x in as_torchvision(theirs.state_dict()).items())
    assert len(older) == len(renamed)


def test_same_start() -> None:
    """But for the head, which starts from 0 there."""
    torch.manual_seed(0)
    ours = VisionTransformer(Size(256, 2, 4), 16, num_classes=50)
    theirs = torchvision.models.VisionTransformer(224, 16, 2, 4, 256, 1024, num_classes=50)
    expected = as_torchvision(theirs.state_dict())
    assert expected["heads.head.weight"].abs().max() == 0
    assert ours.heads.head.weight.std().item() == pytest.approx(0.02, rel=0.05)
    for key, value in ours.state_dict().items():
        if key != "heads.head.weight":
            for measured in (torch.std, torch.mean):
                wanted = measured(expected[key]).item()
                assert measured(value).item() == pytest.approx(wanted, rel=0.15, abs=5e-3), key
            assert (value.std() == 0) == (expected[key].std() == 0), key
