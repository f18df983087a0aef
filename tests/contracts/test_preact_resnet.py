"""What the paper's appendix and its authors' code say of pre-activation networks for small images."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sightline.models.create import create_model, outline


def lively(name: str) -> nn.Module:
    network = create_model(name, seed=1).eval()
    generator = torch.Generator().manual_seed(0)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.bias.data.normal_(generator=generator)
    return network


@torch.no_grad()
def test_the_first_shortcut_leaves_behind_the_activation() -> None:
    """With its branch silenced a block hands on what its shortcut reads."""
    stage = lively("preact_resnet20").stages[0]
    x = torch.randn(2, 16, 6, 7, generator=torch.Generator().manual_seed(1))
    for block in stage[:2]:
        block.conv2.weight.zero_()
    assert torch.equal(stage[0](x), stage[0].bn1(x).relu())
    assert torch.equal(stage[1](x), x)


@torch.no_grad()
def test_other_shortcuts_are_the_plain_sum() -> None:
    first = lively("preact_resnet20").stages[1][0]
    first.conv2.weight.zero_()
    x = torch.randn(2, 16, 6, 7, generator=torch.Generator().manual_seed(1))
    y = first(x)
    assert torch.equal(y[:, 8:24], x[:, :, ::2, ::2])
    assert y[:, :8].abs().max() == y[:, 24:].abs().max() == 0


def test_basic_ones_have_the_weights_of_the_first_paper() -> None:
    """Norms have moved, but there is as much of everything as in arXiv:1512.03385."""
    sizes = [sum(p.numel() for p in outline(name).parameters()) for name in ("preact_resnet110", "resnet110")]
    assert sizes[0] == sizes[1] == 1_727_962


@pytest.mark.parametrize(
    ("name", "first", "second"), [("preact_resnet164", (2, 2), (1, 1)), ("preact_resnet50", (1, 1), (2, 2))]
)
def test_bottlenecks_stride(name: str, first: tuple[int, int], second: tuple[int, int]) -> None:
    """On the first 1x1 in the authors' code; on the 3x3 in the edition for large images."""
    block = outline(name).stages[1][0]
    assert (block.conv1.stride, block.conv2.stride) == (first, second)
    assert block.downsample.stride == (2, 2)
