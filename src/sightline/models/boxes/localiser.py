"""A classifier with a second head for a box: what is in the image, and where. One object an image.

    Sermanet, Eigen, Zhang, Mathieu, Fergus & LeCun 2013, OverFeat, arXiv:1312.6229, section 4

As there the box is read from the map in front of the pooling, because a mean over the image says no place: from a grid of
means over its cells. The class is read from the mean, as in the classifier itself. Its scores have one more column than
there are classes, for images without an object.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.layers.initialise import initialise

GRID, NARROW, HIDDEN = 4, 64, 256
CORNERS = 4
MIDDLE = (0.25, 0.25, 0.75, 0.75)  # the box of a fresh network


def cell_means(x: Float[Tensor, "b c h w"], cells: int) -> Float[Tensor, "b c i j"]:
    """Means over a grid of `cells` x `cells` cells of equal size; a pixel on a border counts for both by its shares. Maps of
    any size have the same number of cells."""
    rows, columns = (_shares(int(side), cells).to(x) for side in x.shape[2:])
    return torch.einsum("ih,bchw,jw->bcij", rows, x, columns)


def _shares(side: int, cells: int) -> Float[Tensor, "i h"]:
    """The share of each of `side` pixels in each cell's mean; rows sum to one."""
    width = side / cells
    rows = [
        [max(min((i + 1) * width, pixel + 1) - max(i * width, pixel), 0.0) / width for pixel in range(side)]
        for i in range(cells)
    ]
    return torch.tensor(rows, device="cpu")


class Localiser(nn.Module):
    """Images (b, c, h, w) → (b, k + 1 + 4): scores of k classes and of no object, then the corners x0, y0, x1, y1 as shares of
    the image's width and height.

    trunk       a registered classifier without its head; `backbone` its name
    classes     k
    """

    trunk: Any  # a network with `features` and `channels`

    def __init__(self, trunk: nn.Module, backbone: str, classes: int) -> None:
        super().__init__()
        self.backbone, self.trunk, self.classes = backbone, trunk, classes
        self.input_size = self.trunk.input_size
        last = self.trunk.channels[-1]
        self.class_head = nn.Linear(last, classes + 1)
        self.reduce = nn.Conv2d(last, NARROW, 1)
        corners = nn.Linear(HIDDEN, CORNERS)
        self.box_head = nn.Sequential(nn.Flatten(), nn.Linear(NARROW * GRID**2, HIDDEN), nn.ReLU(), corners)
        initialise(self.reduce, "he")
        initialise(self.box_head, "he")
        for layer in (self.class_head, corners):
            nn.init.zeros_(layer.weight)  # no class and no place is preferred before the first step
        nn.init.zeros_(self.class_head.bias)
        with torch.no_grad():
            for corner, value in enumerate(MIDDLE):
                corners.bias[corner] = value

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b m"]:
        """(b, c, h, w) → (b, k + 1 + 4)."""
        last = self.trunk.features(x)[-1]  # (b, d, h', w')
        cells = torch.relu(cell_means(self.reduce(last), GRID))  # (b, 64, 4, 4)
        return torch.cat([self.class_head(last.mean((2, 3))), self.box_head(cells)], 1)


class OnePlace(nn.Module):
    """The answers of a localiser in the form of a single-shot detector's: boxes (b, 1, 4) in pixels of the frame, clipped, and
    scores (b, 1, k), all zero but that of the most probable class; all zero where that is none.

    model    the normalised localiser, a function from images in 0-255 units
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Float[Tensor, "b 1 4"], Float[Tensor, "b 1 k"]]:
        """(b, c, h, w) → (b, 1, 4), (b, 1, k)."""
        height, width = image.shape[2:]
        boxes, score = answers(self.model(image).float(), int(height), int(width))
        return boxes[:, None], score[:, None]


def answers(
    outputs: Float[Tensor, "b m"], height: int, width: int
) -> tuple[Float[Tensor, "b 4"], Float[Tensor, "b k"]]:
    """Boxes xyxy in pixels of a frame of this size, clipped, and the probability of the winning class at its place."""
    probability = outputs[:, :-CORNERS].softmax(1)  # (b, k + 1)
    best = probability.amax(1, keepdim=True)
    score = torch.where(probability == best, probability, torch.zeros_like(probability))[:, :-1]
    boxes = outputs[:, -CORNERS:].clamp(0, 1) * outputs.new_tensor([width, height, width, height])
    return boxes, score
