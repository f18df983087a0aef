"""Numbers of the lecture about SE and CBAM, each computed by the product. `attention_maps.json` holds the rows as given."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sightline.layers.attention.scores import ChannelAttention, SpatialAttention, SqueezeExcite
from tests.golden.rows import Golden

torch.set_num_threads(1)
golden = Golden("attention_maps")
Inputs = dict[str, Any]


@pytest.mark.parametrize("identifier", golden.rows)
def test_row(identifier: str) -> None:
    golden.check(identifier)


def test_every_row_is_computed() -> None:
    assert golden.computed.keys() == golden.rows.keys()


@golden("se-forward")
@torch.no_grad()
def _(inputs: Inputs):
    assert inputs["u"] == "arange(1,9).reshape(2,2,2)"
    u = torch.arange(1.0, 9.0, dtype=torch.float64).reshape(1, 2, 2, 2)
    squeezed, channels = torch.tensor(inputs["W1"]).shape
    layer = SqueezeExcite(channels, squeezed).double()
    for dense, weight in ((layer.fc1, inputs["W1"]), (layer.fc2, inputs["W2"])):
        dense.weight.copy_(torch.tensor(weight, dtype=torch.float64)[:, :, None, None])
        dense.bias.zero_()
    seen = []
    layer.fc1.register_forward_pre_hook(lambda _module, arguments: seen.extend(arguments))
    s = layer.weights(u)
    return {"z": seen[0].flatten().tolist(), "s": s.flatten().tolist()}


@golden("cbam-code-channel")
@torch.no_grad()
def _(inputs: Inputs):
    x = torch.rand(2, inputs["c"], 14, 14)
    channel, spatial = ChannelAttention(inputs["c"], bias=False), SpatialAttention()
    return {
        "ca_shape": list(channel(x).shape),
        "ca_params": sum(p.numel() for p in channel.parameters()),
        "sa_shape": list(spatial(x).shape),
        "sa_params": sum(p.numel() for p in spatial.parameters()),
    }


@golden("cbam-spatial-kernel")
def _(_inputs: Inputs):
    return list(SpatialAttention().conv.kernel_size)
