"""DeiT's sizes of Vision Transformers against timm: its values load strictly and answer alike."""

from __future__ import annotations

import pytest
import torch

from sightline.layers.attention.positions import Layout, LearnedPositions
from sightline.models import MODELS
from sightline.models.create import outline
from sightline.models.transformers.vit import as_timm
from tests.distinct import fill_distinct

timm = pytest.importorskip("timm")
torch.set_num_threads(1)

NAMES = {
    "vit_ti_16": "vit_tiny_patch16_224",
    "vit_s_16": "vit_small_patch16_224",
    "vit_s_32": "vit_small_patch32_224",
    "vit_b_32": "vit_base_patch32_224",
    "vit_l_16": "vit_large_patch16_224",
}


@pytest.mark.parametrize("name", NAMES)
def test_same_names_and_shapes(name: str) -> None:
    ours = outline(name)
    with torch.device("meta"):
        theirs = timm.create_model(NAMES[name])
    renamed = as_timm(theirs.state_dict())
    assert {key: x.shape for key, x in ours.state_dict().items()} == {key: x.shape for key, x in renamed.items()}
    heads = [block.attn.num_heads for block in theirs.blocks]
    assert [block.self_attention.heads for block in ours.encoder.layers] == heads


@pytest.mark.parametrize("name", ["vit_ti_16", "vit_s_32"])
@torch.no_grad()
def test_same_answers(name: str) -> None:
    theirs = timm.create_model(NAMES[name], num_classes=10).eval()
    fill_distinct(theirs, seed=1)
    ours = MODELS[name](num_classes=10).eval()
    ours.load_state_dict(as_timm(theirs.state_dict()), strict=True)
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    expected = theirs(x)
    scale = expected.abs().max()
    assert 1e-2 < scale < 100
    assert (ours(x) - expected).abs().max() <= 2e-6 * scale
    maps = theirs.forward_features(x)  # (2, 1 + n, d), behind the last norm
    grid, vector = ours.features(x)
    assert torch.allclose(grid.flatten(2).transpose(1, 2), maps[:, 1:], rtol=1e-4, atol=1e-4)
    assert torch.allclose(vector.flatten(1), maps[:, 0], rtol=1e-4, atol=1e-4)
    first, second, *_ = ours.encoder.layers
    first.self_attention, second.self_attention = second.self_attention, first.self_attention
    assert (ours(x) - expected).abs().max() > 1e-4 * scale


@pytest.mark.parametrize("grid", [(24, 24), (10, 17), (7, 7)])
def test_positions_of_other_image_sizes(grid: tuple[int, int]) -> None:
    learned = torch.randn(1, 1 + 14 * 14, 32, generator=torch.Generator().manual_seed(0))
    theirs = timm.layers.resample_abs_pos_embed(learned, list(grid))
    ours = LearnedPositions(Layout(grid, 32, ahead=1)).resample(learned)
    assert torch.allclose(ours, theirs, atol=1e-6)
