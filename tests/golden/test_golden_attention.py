"""Numbers of the lecture about attention, each computed by the product. `attention.json` holds the rows as given."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from sightline.layers.attention.multi_head import MultiHeadAttention, attention_logits, scaled_dot_product
from sightline.layers.attention.patches import as_tokens, embed_patches, patches
from sightline.layers.attention.positions import Layout, position_embedding, wavelengths
from sightline.models.transformers.vit import Size, VisionTransformer
from tests.golden.rows import Golden

torch.set_num_threads(1)
golden = Golden("attention")
Inputs = dict[str, Any]


@pytest.mark.parametrize("identifier", golden.rows)
def test_row(identifier: str) -> None:
    golden.check(identifier)


def test_every_row_is_computed() -> None:
    assert golden.computed.keys() == golden.rows.keys()


def double(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def seeded(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@golden("self-attn-simple")
def _(inputs: Inputs):
    x = double(inputs["x"])
    y, weights = scaled_dot_product(x, x, x, scale=1.0)
    return {"w": weights.tolist(), "y": y.tolist()}


@golden("scaled-dot-attn")
def _(inputs: Inputs):
    output, weights = scaled_dot_product(*(double(inputs[name]) for name in "QKV"))
    return {"w": weights.tolist(), "out": output.tolist()}


@golden("attn-scale-reason")
def _(inputs: Inputs):
    """q·k / √d of unit-normal vectors deviates by 1, whatever d is."""
    ratios = []
    for d in inputs["d"]:
        query, key = seeded(2, 100_000, 1, d)  # a query and a key each
        ratios.append(attention_logits(query, key).std().item())
    return ratios


@golden("masked-attention")
def _(inputs: Inputs):
    equal = torch.zeros(inputs["T"], 3)
    return scaled_dot_product(equal, equal, equal, causal=True).weights.tolist()


@golden("attn-permutation")
def _(_inputs: Inputs):
    torch.manual_seed(0)
    attention = MultiHeadAttention(8, 2).double()
    positions = position_embedding("sinusoid", Layout((2, 3), 8)).double()
    x, order = seeded(1, 6, 8), torch.tensor([4, 2, 5, 0, 3, 1])

    def equivariant(placed) -> bool:
        straight, shuffled = placed(x), placed(x[:, order])
        answers = attention(straight, straight, straight), attention(shuffled, shuffled, shuffled)
        return torch.allclose(answers[0][:, order], answers[1], rtol=0, atol=1e-12)

    return equivariant(lambda tokens: tokens) and not equivariant(positions)


@golden("pe-wavelengths")
def _(inputs: Inputs):
    every = wavelengths(inputs["d"])
    return [every[0].item(), every[-1].item()]


@golden("vit-patches")
def _(inputs: Inputs):
    side, width = inputs["image"], inputs["D"]
    network = VisionTransformer(Size(width, 1, 12), inputs["patch"], in_channels=inputs["c"], image_size=(side, side))
    network = network.double()
    x = seeded(1, inputs["c"], side, side)
    cut = patches(x, inputs["patch"])
    strided = as_tokens(network.conv_proj(x))
    return {
        "tokens": cut.shape[1],
        "patch_values": cut.shape[2],
        "with_cls": network.tokens(x).shape[1],
        "grid": list(network.grid),
        "err": (strided - embed_patches(x, network.conv_proj)).abs().max().item(),
    }
