"""Network tables: what is printed, what is right.

Which printed counts of parameters, channels and operations do not follow from their own tables?
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from torch import nn

from sightline.lab.errata import Erratum, judged
from sightline.lab.experiment import Experiment, Formula, Result
from sightline.layers.attention.positions import wavelengths
from sightline.layers.attention.scores import SpatialAttention
from sightline.models.create import create_model
from sightline.models.describe import describe
from sightline.models.efficient.efficientnet import compound_scaling


@dataclass(frozen=True)
class Parameters:
    pass


@cache
def googlenet() -> nn.Module:
    with torch.device("meta"):
        return create_model("googlenet_paper", aux=False)


@cache
def table() -> dict[str, Any]:
    return describe(googlenet(), input=(3, 224, 224))


def weights(name: str) -> float:
    """Thousands (of 1024) of weights of a part of GoogLeNet."""
    return sum(p.numel() for p in googlenet().get_submodule(name).parameters() if p.ndim > 1) / 1024


def operations(part: str) -> float:
    """Millions of multiply-adds."""
    return sum(row["multiply_adds"] for row in table()["layers"] if row["name"].startswith(part)) / 1e6


@cache
def parameters(name: str, **options: Any) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in create_model(name, **options).parameters())


def after_pools() -> list[int]:
    return [row["output"][0] for row in describe("vgg16")["layers"] if row["kind"] == "MaxPool2d"]


def alexnet() -> Any:
    return create_model("alexnet_table", dense=(8, 8))


def pooled() -> list[int]:
    network = alexnet()
    pools = (network.pool1, network.pool2, network.pool5)
    return [pool(torch.zeros(1, 1, n, n)).shape[-1] for pool, n in zip(pools, (55, 27, 13), strict=True)]


def last_depthwise() -> int:
    """Side of its output: the layer before the last pointwise convolution."""
    convolutions = [row for row in describe("mobilenet_v1")["layers"] if row["kind"] == "Conv2d"]
    return convolutions[-2]["output"][-1]


def last_output() -> list[int]:
    """Of the net 3-4-1, as a column."""
    network = create_model("mlp", in_channels=3, image_size=(1, 1), hidden=(4,), num_classes=1)
    return list(network(torch.ones(1, 3, 1, 1)).T.shape)


_PRINTED = (("4a", 364, 366.75), ("4c", 463, 497.5), ("4d", 580, 590.5), ("4e", 840, 847.0), ("5a", 1072, 1018.0),
            ("5b", 1388, 1409.0))  # fmt: skip
ROWS = (
    *(Erratum(f"GoogLeNet {name}: weights in K", printed, right, partial(weights, f"inception{name}"),
        "not the product of the row's own widths (also in the paper)", 1e-6) for name, printed, right in _PRINTED),
    Erratum("GoogLeNet 5a: millions of multiply-adds", 54, 51.079, lambda: operations("inception5a."),
        "from the wrong 1072 K", 1e-4),
    Erratum("GoogLeNet, first layer: weights", 2700, 9408, lambda: weights("conv1") * 1024,
        "2.7 K are those of a separable layer"),
    Erratum("GoogLeNet, first layer: millions of multiply-adds", 34, 118.0, lambda: operations("conv1"),
        "the separable layer's", 1e-3),
    Erratum("AlexNet's table over GoogLeNet: parameters", 12, 8.913,
        lambda: parameters("alexnet_table") / table()["parameters"],
        "60 M over 5 M; the tables' own totals give less", 1e-3),
    Erratum("AlexNet's first filters", 64, 96, lambda: alexnet().conv1.out_channels,
        "64 is a later variant in one tower"),
    Erratum("AlexNet's pooled sizes from 55, 27, 13", (54, 26, 12), (27, 13, 6), pooled,
        "3 × 3 of stride 2, not 2 × 2 of stride 1"),
    Erratum("VGG's channels at its five pools", (64, 128, 256, 512, 1024), (64, 128, 256, 512, 512), after_pools,
        "doubling stops at 512"),
    Erratum("LeNet-5 as tabled: parameters", 60_000, 61_706, lambda: parameters("lenet5"),
        "60,000 are LeCun's original, C3 partly connected"),
    Erratum("CBAM-ResNet-50: parameters, from the code beside it", 28_073_544, 28_089_592,
        lambda: parameters("cbam_resnet50"),
        "the code has no biases, the table has"),
    Erratum("CBAM's spatial attention: kernel", (1, 1), (7, 7), lambda: list(SpatialAttention().conv.kernel_size),
        "7 × 7"),
    Erratum("MobileNet's last depthwise layer: output of 7", 4, 7, last_depthwise, "stride 1, though 2 is printed"),
    Erratum("EfficientNet: α β² γ²", 1.75692, 1.92027, lambda: compound_scaling(1.0, 1.2, 1.1, 1.15).flops,
        "γ is 1.15, printed as 1.1", 1e-6),
    Erratum("net 3-4-1: shape of a²", (4, 1), (1, 1), last_output, "that of a¹ was repeated"),
    Erratum("longest wavelength of the positions, d = 512", 62_831.85, 60_611.47, lambda: wavelengths(512)[-1].item(),
        "10000 · 2π is not reached", 1e-6),
)  # fmt: skip


def run(parameters: Parameters, seed: int) -> Result:
    return judged(ROWS, "Tables of course notes, slides and papers. K = 1024.")


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "The tables are computed on networks without numbers (torch's meta device): shapes and counts cost nothing.",
        "Some slips are the papers' own, and have been copied for ten years.",
    ),
    formulas=(
        Formula("GoogLeNet", "Szegedy et al. 2014, arXiv:1409.4842, table 1"),
        Formula("α β² γ² ≈ 2", "Tan and Le 2019, arXiv:1905.11946"),
    ),
    code=(describe, weights, compound_scaling),
    random=False,
)
