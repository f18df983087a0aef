"""RoIAlign on a pyramid for graphs that leave torch: the same numbers as `pyramid_roi_align`, by ONNX's own operator.

`embedding_bag` becomes a loop over bags in ONNX. The operator RoiAlign reads one map, so each region is pooled on every
level and the right one is chosen: with four levels that costs less than a tenth of the dense layers behind it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .regions import pyramid_level, pyramid_roi_align

_OPSET = 16  # the first whose RoiAlign can leave out the half-pixel shift, as `aligned=False` does


def graph_roi_align(
    features: Sequence[Float[Tensor, "b c _h _w"]],
    boxes: Float[Tensor, "n 4"],
    sample: Int[Tensor, "n"],
    *,
    size: tuple[int, int],
    output: int,
    samples: int = 2,
) -> Float[Tensor, "n c i j"]:
    """`pyramid_roi_align`; within an export of torch.onnx, ONNX's operator on each level."""
    if not torch.onnx.is_in_onnx_export():
        return pyramid_roi_align(features, boxes, sample, size=size, output=output, samples=samples)
    steps = [round(math.log2(size[0] / f.shape[2])) for f in features]
    level = pyramid_level(boxes, steps)
    chosen = boxes.new_zeros(boxes.shape[0], features[0].shape[1], output, output)
    for i, (maps, step) in enumerate(zip(features, steps, strict=True)):
        pooled = _onnx_roi_align(maps, boxes, sample, output, samples, 2.0**-step)
        chosen = torch.where((level == i)[:, None, None, None], pooled, chosen)
    return chosen


def _onnx_roi_align(
    features: Tensor, boxes: Tensor, sample: Tensor, output: int, samples: int, scale: float
) -> Float[Tensor, "n c i j"]:
    if not torch.compiler.is_exporting():  # the older exporter, which traces
        return _Traced.apply(features, boxes, sample, output, samples, scale)
    attributes = {"output_height": output, "output_width": output, "sampling_ratio": samples, "spatial_scale": scale}
    attributes |= {"mode": "avg", "coordinate_transformation_mode": "output_half_pixel"}
    shape = (boxes.shape[0], features.shape[1], output, output)
    inputs = (features, boxes, sample)
    return torch.onnx.ops.symbolic("RoiAlign", inputs, attributes, dtype=torch.float32, shape=shape, version=_OPSET)


class _Traced(torch.autograd.Function):
    @staticmethod
    def forward(ctx, features, boxes, sample, output, samples, scale):
        return features.new_zeros(boxes.shape[0], features.shape[1], output, output)  # only its shape is traced

    @staticmethod
    def symbolic(g, features, boxes, sample, output, samples, scale):
        return g.op(
            "RoiAlign", features, boxes, sample, output_height_i=output, output_width_i=output, sampling_ratio_i=samples,
            spatial_scale_f=scale, mode_s="avg", coordinate_transformation_mode_s="output_half_pixel",
        )  # fmt: skip
