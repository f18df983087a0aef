"""The smallest member of each family of classifiers, made light: what the default suite builds, trains and exports.

A family's other members are the same with other counts; `make contracts` sends every one through the same tests.
"""

from __future__ import annotations

from typing import Any

# name → options; one entry at least for each file of `sightline.models` that registers classifiers
SMALLEST: dict[str, dict[str, Any]] = {
    "alexnet": {"dense": (64, 64)},
    "alexnet_original": {"dense": (64, 64)},
    "cbam_resnet18": {"small_images": True},
    "convnet": {"widths": (8, 16), "dense": (32,), "image_size": (20, 28)},
    "darknet53": {"width": 0.125},
    "densenet121": {"growth": 8},
    "densenet40_12": {},
    "efficientnet_b0": {"stochastic_depth": 0.0},
    "efficientnet_lite0": {"stochastic_depth": 0.0},
    "airbench94": {"widths": (16, 32, 32)},
    "extraction": {"width": 0.125},
    "fast_convnet": {},
    "googlenet": {},
    "googlenet_paper": {"small_images": True},
    "lenet5": {},
    "lenet5_original": {},
    "lenet_1989": {},
    "linear": {},
    "maxout": {"hidden": (64, 32)},
    "mlp": {},
    "mobilenet_v1": {"width": 0.25},
    "mobilenet_v2": {"width": 0.25},
    "nin": {},
    "preact_resnet18": {},
    "preact_resnet20": {},
    "resnet18": {},
    "resnet50": {},
    "resnet8": {},
    "resnext50_32x4d": {"small_images": True},
    "se_resnet18": {"small_images": True},
    "vgg11": {"dense": (64, 64)},
    "vgg11_bn": {"dense": (64, 64)},
    "vit_ti_16": {"small_images": True},
    "wide_resnet18_1_5": {"small_images": True},
    "zfnet": {"dense": (64, 64)},
}
