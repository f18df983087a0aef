"""YOLO: Redmon, Divvala, Girshick & Farhadi 2016, "You only look once: unified, real-time object detection"
(arXiv:1506.02640), as in its figure 3.

    yolo_v1     24 convolutions, dense layers of 4096 and 1470 numbers
    fast_yolo   9 convolutions with fewer channels, dense layers of 256, 4096 and 1470

448x448 pixels become 7x7 cells of 30 numbers: for each of two predictors x, y, √width, √height and confidence, then 20
class probabilities. Everything is linear: no number is squashed (section 2.2). The paper says of Fast YOLO only that it
has 9 convolutions with fewer filters; their widths and its first dense layer are those of the authors' program. One of
that program's later configurations has a locally connected layer in place of the dense one of 4096: not here, figure 3
has none.

Because dense layers read the whole map, a network sees images of one size only, `image_size`. Its grid has
one cell for every 64 pixels.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.layers.boxes.cells import cell_boxes
from sightline.layers.dropout import require_share
from sightline.models.catalogue import MODELS
from sightline.models.early.extraction import (
    SLOPE,
    STAGES,
    Convolution,
    Extraction,
    Norm,
    convolutions,
    initialise_leaky,
    scaled,
)
from sightline.models.sizes import require_exactly
from sightline.structures.grids import CellOutputs, CellPredictions

CELL = 64  # pixels
_WIDE = Convolution(3, 1024)
_START = 0.3  # √size with which boxes start: about a tenth of the image


class YoloConfig(NamedTuple):
    """The stages of the classifier, the convolutions after it, whether a pooling lies between, and the share of `dense` that a
    first dense layer has (0: there is one dense layer)."""

    stages: tuple[tuple[Convolution, ...], ...]
    last: tuple[Convolution, ...]
    pooled: bool = False
    first: float = 0.0
    backbone: str | None = None


FIGURE_3 = YoloConfig(STAGES, (_WIDE, Convolution(3, 1024, 2), _WIDE, _WIDE), backbone="extraction")
FAST = YoloConfig(
    tuple((Convolution(3, channels),) for channels in (16, 32, 64, 128, 256, 512)), (_WIDE,) * 3, True, 1 / 16
)


class YoloV1(nn.Module):
    """Normalised images (b, c, h, w) of one size → CellOutputs.

    image_size   (height, width)
    predictors   boxes that each cell predicts
    width        factor on the channels of all convolutions
    dense        width of the last dense layer before the output
    dropout      after that layer
    norm         "batch" or "group" behind every convolution, for training from scratch; the paper has none
    """

    def __init__(
        self,
        config: YoloConfig,
        *,
        in_channels: int = 3,
        num_classes: int = 20,
        image_size: tuple[int, int] = (448, 448),
        predictors: int = 2,
        width: float = 1.0,
        dense: int = 4096,
        dropout: float = 0.5,
        norm: Norm = "none",
    ) -> None:
        super().__init__()
        require_share(dropout)
        if num_classes < 1 or predictors < 1:
            raise UsageError("a detector needs at least one class and one predictor", "set num_classes=1 or more")
        if min(image_size) < CELL:
            height, side = image_size
            raise UsageError(f"images of {height}x{side} pixels are smaller than a cell", f"use at least {CELL}x{CELL}")
        self.input_size = (in_channels, *image_size)
        self.trunk = Extraction(config.stages, in_channels=in_channels, num_classes=0, width=width, norm=norm)
        if config.backbone:
            self.backbone = config.backbone  # a classifier, whose weights the trunk also takes
        self.pool = nn.MaxPool2d(2) if config.pooled else nn.Identity()
        self.last = convolutions(self.trunk.channels[-1], config.last, width=width, norm=norm)
        self.channels = (*self.trunk.channels, scaled(config.last[-1].channels, width))
        self.grid = _cells(image_size[0], config.pooled), _cells(image_size[1], config.pooled)
        self.predictors, self.num_classes = predictors, num_classes
        self.numbers = predictors * 5 + num_classes
        sizes = [
            self.channels[-1] * self.grid[0] * self.grid[1],
            *(max(int(dense * s), 1) for s in (config.first, 1.0) if s),
        ]
        pairs = [(nn.Linear(i, o), nn.LeakyReLU(SLOPE, inplace=True)) for i, o in pairwise(sizes)]
        self.dense = nn.Sequential(*(layer for pair in pairs for layer in pair), nn.Dropout(dropout))
        self.output = nn.Linear(sizes[-1], self.grid[0] * self.grid[1] * self.numbers)
        initialise_leaky(self.last)
        initialise_leaky(self.dense)
        self._start()

    @torch.no_grad()
    def _start(self) -> None:
        """Small weights, and biases by which every box starts in the middle of its cell with a tenth of the image's sides, and
        every class equally likely: the first steps would otherwise only learn such constants."""
        nn.init.normal_(self.output.weight, std=0.01)
        box = torch.tensor([0.5, 0.5, _START, _START, 0.0])
        classes = torch.full((self.num_classes,), 1 / self.num_classes)
        self.output.bias.copy_(torch.cat((box.repeat(self.predictors), classes)).repeat(self.grid[0] * self.grid[1]))

    def features(self, image: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """The last map of each stage of the classifier, and the map that the dense layers read."""
        require_exactly(image, *self.input_size)
        maps = self.trunk.features(image)
        return [*maps, self.last(self.pool(maps[-1]))]

    def forward(self, image: Float[Tensor, "b c h w"], size: Int[Tensor, "b 2"] | None = None) -> CellOutputs:
        """(b, c, h, w) → the predictions of all cells, and their boxes in pixels. `size` is not used."""
        numbers = self.output(self.dense(self.features(image)[-1].flatten(1)))
        cells = numbers.unflatten(1, (*self.grid, self.numbers))  # (b, 7, 7, 30)
        boxes = cells[..., : 5 * self.predictors].unflatten(-1, (self.predictors, 5))  # (b, 7, 7, 2, 5)
        predicted = CellPredictions(boxes[..., :4], boxes[..., 4], cells[..., 5 * self.predictors :])
        height, width = self.input_size[1:]
        return CellOutputs(cell_boxes(predicted, (height, width)).flatten(1, 3), predicted)


def _cells(side: int, pooled: bool) -> int:
    """Cells along a side: a convolution of stride 2 gives ⌈n / 2⌉ places, a pooling ⌊n / 2⌋."""
    if pooled:
        return side // 2**6
    return ((side + 1) // 2 // 2**4 + 1) // 2


@MODELS.under("boxes")
def yolo_v1(**options) -> YoloV1:
    """YOLO (Redmon et al. 2016, arXiv:1506.02640, figure 3): 271.7 M parameters at (3, 448, 448)."""
    return YoloV1(FIGURE_3, **options)


@MODELS.under("boxes")
def fast_yolo(**options) -> YoloV1:
    """Fast YOLO (Redmon et al. 2016, arXiv:1506.02640): nine convolutions, 45.1 M parameters at (3, 448, 448)."""
    return YoloV1(FAST, **options)
