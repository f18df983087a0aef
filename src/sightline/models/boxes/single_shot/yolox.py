"""YOLOX (Ge, Liu, Wang, Li & Sun 2021, arXiv:2107.08430): no anchors, one box at every place of three maps, and a head
whose branches for classes and boxes part early.

Parameter names are those of Megvii's code (Apache-2.0), whose weights load strictly. Here images come normalised in any
way, colours as RGB, and what the training adds (assignment, losses) is in the task.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.layers.boxes.places import decode_places, places
from sightline.models.catalogue import MODELS
from sightline.models.pixels.backbones import pad_to_multiple
from sightline.structures.outputs.places import PlaceOutputs

from .csp import BaseConv, CSPDarknet, CSPLayer, convolution

STRIDES = (8, 16, 32)
PRIOR = 0.01  # probability of an object, and of each class, at a place of the untrained network (Lin et al. 2017)


class PathPyramid(nn.Module):
    """CSPDarknet, a way down from coarse to fine, and one up again (PAN: Liu et al. 2018, arXiv:1803.01534)."""

    def __init__(self, inputs: int, width: int, depth: int, *, depthwise: bool) -> None:
        super().__init__()
        fine, middle, coarse = 4 * width, 8 * width, 16 * width
        layer = {"shortcut": False, "depthwise": depthwise}
        self.backbone = CSPDarknet(inputs, width, depth, depthwise=depthwise)
        self.lateral_conv0 = BaseConv(coarse, middle, 1)
        self.C3_p4 = CSPLayer(2 * middle, middle, depth, **layer)
        self.reduce_conv1 = BaseConv(middle, fine, 1)
        self.C3_p3 = CSPLayer(2 * fine, fine, depth, **layer)
        self.bu_conv2 = convolution(fine, fine, 3, 2, depthwise=depthwise)
        self.C3_n3 = CSPLayer(2 * fine, middle, depth, **layer)
        self.bu_conv1 = convolution(middle, middle, 3, 2, depthwise=depthwise)
        self.C3_n4 = CSPLayer(2 * middle, coarse, depth, **layer)

    def forward(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Images (b, c, h, w), sides multiples of 32 → three maps at strides 8, 16, 32."""
        fine, middle, coarse = self.backbone(x)
        top = self.lateral_conv0(coarse)
        joined = self.reduce_conv1(self.C3_p4(torch.cat((_doubled(top), middle), 1)))
        low = self.C3_p3(torch.cat((_doubled(joined), fine), 1))
        centre = self.C3_n3(torch.cat((self.bu_conv2(low), joined), 1))
        return [low, centre, self.C3_n4(torch.cat((self.bu_conv1(centre), top), 1))]


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class DecoupledHead(nn.Module):
    """For each map: class logits from one branch of two 3x3s; box and objectness from another."""

    def __init__(self, widths: tuple[int, int, int], hidden: int, classes: int, *, depthwise: bool) -> None:
        super().__init__()

        def branch() -> nn.Sequential:
            return nn.Sequential(*(convolution(hidden, hidden, 3, depthwise=depthwise) for _ in range(2)))

        levels = range(len(widths))
        self.cls_convs = nn.ModuleList(branch() for _ in levels)
        self.reg_convs = nn.ModuleList(branch() for _ in levels)
        self.cls_preds = nn.ModuleList(nn.Conv2d(hidden, classes, 1) for _ in levels)
        self.reg_preds = nn.ModuleList(nn.Conv2d(hidden, 4, 1) for _ in levels)
        self.obj_preds = nn.ModuleList(nn.Conv2d(hidden, 1, 1) for _ in levels)
        self.stems = nn.ModuleList(BaseConv(width, hidden, 1) for width in widths)
        for layer in (*self.cls_preds, *self.obj_preds):  # else the many empty places would drown the first steps
            nn.init.constant_(layer.bias, -math.log((1 - PRIOR) / PRIOR))

    def forward(self, maps: list[Float[Tensor, "b _ _ _"]]) -> tuple[Tensor, Tensor, Tensor]:
        """Shifts (b, n, 4), objectness (b, n) and class logits (b, n, k), map by map, row by row."""
        shifts, objects, classes = [], [], []
        for level, x in enumerate(maps):
            x = self.stems[level](x)
            of_class = _exact(self.cls_preds[level], self.cls_convs[level](x))
            of_box = self.reg_convs[level](x)
            shifts.append(_rows(_exact(self.reg_preds[level], of_box)))
            objects.append(_rows(_exact(self.obj_preds[level], of_box)))
            classes.append(_rows(of_class))
        return torch.cat(shifts, 1), torch.cat(objects, 1)[..., 0], torch.cat(classes, 1)


def _exact(layer: nn.Module, x: Tensor) -> Tensor:
    """The last layer in float32, also where autocast rounds the others: an offset with eight significant bits moves the edge
    of a box of 300 pixels by one."""
    if x.is_meta or not torch.is_autocast_enabled(x.device.type):
        return layer(x)
    with torch.autocast(x.device.type, enabled=False):
        return layer(x.float())


def _rows(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n c"]:
    return x.flatten(2).transpose(1, 2)  # (b, c, h, w) → (b, h·w, c)


class YOLOX(nn.Module):
    """Images (b, c, h, w) → PlaceOutputs.

    depth, width    factors of the bottlenecks per stage and of the channels, relative to YOLOX-L
    depthwise       3x3s in two steps, as in the nano variant
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 80,
        depth: float = 1.0,
        width: float = 1.0,
        depthwise: bool = False,
        side: int = 640,
    ) -> None:
        super().__init__()
        if num_classes < 1:
            raise UsageError("a detector needs at least one class", "set num_classes=1 or more")
        self.input_size = (in_channels, side, side)
        self.smallest = 32
        stem = int(64 * width)
        self.channels = (4 * stem, 8 * stem, 16 * stem)
        self.backbone = PathPyramid(in_channels, stem, max(round(3 * depth), 1), depthwise=depthwise)
        self.head = DecoupledHead(self.channels, 4 * stem, num_classes, depthwise=depthwise)

    def features(self, image: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Three maps at strides 8, 16, 32 with `self.channels` channels."""
        return self.backbone(pad_to_multiple(image, STRIDES[-1]))

    def forward(self, image: Float[Tensor, "b c h w"], size: Int[Tensor, "b 2"] | None = None) -> PlaceOutputs:
        """An answer at every place of the three maps. `size` (height and width of each image without the padding of its batch)
        changes nothing here."""
        maps = self.features(image)
        shift, objectness, classes = self.head(maps)
        cell, stride = places([(int(x.shape[2]), int(x.shape[3])) for x in maps], STRIDES, image.device)
        return PlaceOutputs(decode_places(shift, cell, stride), shift, objectness, classes, cell, stride)


def in_rgb(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a network that reads blue, green, red, as those of one that reads red, green, blue. The stem sees four pixels
    of three colours each."""
    stem = "backbone.backbone.stem.conv.conv.weight"
    if stem not in state or state[stem].shape[1] != 12:
        return dict(state)
    weight = state[stem].unflatten(1, (4, 3)).flip(2).flatten(1, 2)  # (o, 4·3, h, w)
    return {**state, stem: weight}


@MODELS.under("boxes")
def yolox_nano(**options) -> YOLOX:
    """YOLOX-Nano (Ge et al. 2021, arXiv:2107.08430), depthwise.

    0.9 M parameters at (3, 416, 416) with 80 classes.
    """
    return YOLOX(**{"depth": 0.33, "width": 0.25, "depthwise": True, "side": 416, **options})


@MODELS.under("boxes")
def yolox_tiny(**options) -> YOLOX:
    """YOLOX-Tiny (Ge et al. 2021, arXiv:2107.08430).

    5.1 M parameters at (3, 416, 416) with 80 classes.
    """
    return YOLOX(**{"depth": 0.33, "width": 0.375, "side": 416, **options})


@MODELS.under("boxes")
def yolox_s(**options) -> YOLOX:
    """YOLOX-S (Ge et al. 2021, arXiv:2107.08430).

    9.0 M parameters at (3, 640, 640) with 80 classes.
    """
    return YOLOX(**{"depth": 0.33, "width": 0.5, **options})


@MODELS.under("boxes")
def yolox_m(**options) -> YOLOX:
    """YOLOX-M (Ge et al. 2021, arXiv:2107.08430).

    25.3 M parameters at (3, 640, 640) with 80 classes.
    """
    return YOLOX(**{"depth": 0.67, "width": 0.75, **options})


@MODELS.under("boxes")
def yolox_l(**options) -> YOLOX:
    """YOLOX-L (Ge et al. 2021, arXiv:2107.08430).

    54.2 M parameters at (3, 640, 640) with 80 classes.
    """
    return YOLOX(**options)


@MODELS.under("boxes")
def yolox_x(**options) -> YOLOX:
    """YOLOX-X (Ge et al. 2021, arXiv:2107.08430).

    99.1 M parameters at (3, 640, 640) with 80 classes.
    """
    return YOLOX(**{"depth": 1.33, "width": 1.25, **options})
