"""Numbers of the lecture about regions and upsampling, each computed by the product. `regions.json` holds the rows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.layers.arithmetic import output_size
from sightline.layers.boxes.anchors import decode, encode
from sightline.layers.boxes.regions import roi_pool
from sightline.layers.convolution.convolution import correlate_backward
from sightline.layers.convolution.upsampling import bilinear, bilinear_at, spread, spread_size, unpool
from tests.golden.rows import Golden

torch.set_num_threads(1)
golden = Golden("regions")
Inputs = dict[str, Any]


@pytest.mark.parametrize("identifier", golden.rows)
def test_row(identifier: str) -> None:
    golden.check(identifier)


def double(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@golden("rpn-box-coding")
def _(inputs: Inputs):
    """The row gives centres and sizes, the product takes corners."""

    def corners(x: float, y: float, w: float, h: float) -> Tensor:
        return double([[x - w / 2, y - h / 2, x + w / 2, y + h / 2]])

    anchor, box = corners(*inputs["anchor"]), corners(*inputs["box"])
    deltas = encode(box, anchor)
    x1, y1, x2, y2 = decode(deltas, anchor)[0].tolist()
    return {"t": deltas[0].tolist(), "decoded": [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]}


@golden("roi-pool-4x6")
def _(inputs: Inputs):
    height, width, output = inputs["H"], inputs["W"], (inputs["h"], inputs["w"])
    x = torch.arange(height * width, dtype=torch.float64).reshape(1, 1, height, width)
    whole = double([[0, 0, width - 1, height - 1]])  # the last pixels are included, as the rule has it

    def pooled(windows: str) -> Tensor:
        return roi_pool(x, whole, torch.tensor([0]), output=output, scale=1, windows=windows)[0, 0]

    assert torch.equal(pooled("covering"), F.adaptive_max_pool2d(x, output)[0, 0])
    equal = pooled("equal")
    sizes = [
        int(equal[0, 1] - equal[0, 0]),
        int(equal[1, 0] - equal[0, 0]) // width,
    ]  # columns, rows between two maxima
    return {"sz": sizes, "floor_rule": equal.tolist(), "adaptive_rule": pooled("covering").tolist()}


@golden("bilinear-146")
def _(inputs: Inputs):
    """The row names a corner by (row, column) and asks along the row axis last."""
    corners = {tuple(map(int, name.split(","))): value for name, value in inputs["Q"].items()}
    rows, columns = (sorted({place[axis] for place in corners}) for axis in (0, 1))
    patch = double([[[corners[i, j] for j in columns] for i in rows]])  # (1, 2, 2)
    row, column = inputs["point"]
    points = double([[column - columns[0], i - rows[0]] for i in (rows[0], rows[1], row)])
    return bilinear_at(patch, points)[:, 0].tolist()


@golden("up-bilinear-matrix")
def _(inputs: Inputs):
    x = double(inputs["x"])[None, None]
    assert inputs["align_corners"] is False
    got = bilinear(x, (4, 4))[0, 0]
    places = (torch.arange(4) + 0.5) / 2 - 0.5  # centres of the new pixels among the old ones
    points = torch.cartesian_prod(places, places).flip(1).double()
    assert torch.allclose(got.flatten(), bilinear_at(x[0], points)[:, 0])
    return got.tolist()


@golden("max-unpool")
def _(inputs: Inputs):
    x = double(inputs["x"])[None, None]
    pooled, where = F.max_pool2d(x, 2, return_indices=True)
    restored = unpool(pooled, where, (4, 4))
    assert torch.equal(restored, F.max_unpool2d(pooled, where, 2))
    return {"pooled": pooled[0, 0].tolist(), "unpooled": restored[0, 0].tolist()}


@golden("transposed-conv")
def _(inputs: Inputs):
    return spread(double(inputs["x"])[None, None], double(inputs["k"])[None, None])[0, 0].tolist()


@golden("transposed-conv-is-gradient")
def _(inputs: Inputs):
    """Spreading with a kernel is what the chain rule does through a correlation with it."""
    g = torch.Generator().manual_seed(1)
    kernel, upstream = (torch.randn(*s, generator=g, dtype=torch.float64) for s in ((4, 3, 3, 3), (2, 4, 4, 5)))
    x = torch.zeros(2, 3, 7, 9, dtype=torch.float64)
    gradient = correlate_backward(upstream, x, kernel, stride=2, padding=1).x
    return (spread(upstream, kernel, stride=2, padding=1) - gradient).abs().max().item()


@golden("transposed-conv-size")
def _(inputs: Inputs):
    kernel, stride, padding = (inputs[name] for name in ("k", "s", "p"))
    small = output_size(4, kernel, stride=stride, padding=padding)
    sizes = [spread_size(small, kernel, stride=stride, padding=padding, output_padding=extra) for extra in (0, 1)]
    return [small, *sizes]
