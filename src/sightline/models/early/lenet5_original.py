"""LeNet-5 as published: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document
recognition".

60,000 trainable parameters and 340,908 connections at 1x32x32; `lenet` has the network as it is usually drawn.

    C1   6@28x28      5x5 of the image                             156
    S2   6@14x14      α · sum of 2x2 + β, squashed                  12
    C3   16@10x10     5x5 of some of the maps (`TABLE`)          1,516
    S4   16@5x5       α · sum of 2x2 + β, squashed                  32
    C5   120@1x1      5x5 of all maps                           48,120
    F6   84           a bitmap of the class, 7 wide, 12 high    10,164
    out  10           squared distances to ten fixed bitmaps         0

Every layer but the last applies A·tanh(S·), C1, C3 and C5 too. (`layers.convolution.pooling` has the subsampling as
most texts print it, the mean through a sigmoid.) Scores are minus the squared distances, so the most likely class has
the largest. Weights, biases, α and β are initialised uniformly between ±2.4 / fan-in.

Where this differs: the paper's bitmaps show its typeface; the ten digits below were drawn for this file. For any other
number of classes the bitmaps are a fixed draw of random ±1, the alternative that the paper names.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.layers.activations import ScaledTanh
from sightline.layers.convolution.partial import PartialConvolution
from sightline.models.catalogue import MODELS
from sightline.models.sizes import require_exactly
from sightline.randomness.keyed import uniform

from .lenet_1989 import init_layers_uniform, init_uniform

# table I of the paper: the maps of S2 that each map of C3 reads, by rows of 3 neighbours, 4 neighbours, 4 with a gap, all
TABLE = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)

# 0 to 9, 7 wide and 12 high; a # is +1, a dot is -1
DIGITS = """
..###.. ...#... .#####. ####### .....#. ####### ..####. ####### .#####. .#####.
.#...#. ..##... #.....# .....#. ....##. #...... .#..... ......# #.....# #.....#
#.....# .#.#... ......# ....#.. ...#.#. #...... #...... ......# #.....# #.....#
#.....# ...#... ......# ...#... ..#..#. #...... #...... .....#. #.....# #.....#
#.....# ...#... .....#. ..###.. .#...#. ######. #...... .....#. #.....# #....##
#.....# ...#... ....#.. .....#. #....#. ......# #.####. ....#.. .#####. .####.#
#.....# ...#... ...#... ......# ####### ......# ##....# ....#.. #.....# ......#
#.....# ...#... ..#.... ......# .....#. ......# #.....# ...#... #.....# ......#
#.....# ...#... .#..... ......# .....#. ......# #.....# ...#... #.....# ......#
#.....# ...#... #...... ......# .....#. ......# #.....# ..#.... #.....# ......#
.#...#. ...#... #...... #.....# .....#. #.....# .#...#. ..#.... #.....# .....#.
..###.. .#####. ####### .#####. .....#. .#####. ..###.. ..#.... .#####. .####..
"""
PIXELS = 84


def pictures(num_classes: int) -> Float[Tensor, "k 84"]:
    """Bitmaps of ±1: the ten digits for ten classes, else random ones that depend on the class alone."""
    if num_classes == 10:
        rows = [line.split() for line in DIGITS.split("\n") if line]
        drawn = ["".join(parts) for parts in zip(*rows, strict=True)]
        return torch.tensor([[1.0 if pixel == "#" else -1.0 for pixel in digit] for digit in drawn])
    chance = uniform(0, "pictures of lenet5", torch.arange(num_classes)[:, None], torch.arange(PIXELS))
    return 1 - 2 * (chance < 0.5).float()


class Subsample(nn.Module):
    """A·tanh(S (α · sum of 2x2 + β)) at stride 2, with one α and one β for each map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha, self.beta = nn.Parameter(torch.empty(channels)), nn.Parameter(torch.empty(channels))
        self.tanh = ScaledTanh()
        init_uniform(self.alpha, self.beta, inputs=4)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c i j"]:
        """(b, c, h, w) → (b, c, h/2, w/2)."""
        total = 4 * F.avg_pool2d(x, 2)  # (b, c, h/2, w/2)
        return self.tanh(self.alpha[:, None, None] * total + self.beta[:, None, None])


class Likeness(nn.Module):
    """Minus the squared distance of a vector to each of k fixed ones: Euclidean radial basis functions."""

    def __init__(self, pictures: Float[Tensor, "k d"]) -> None:
        super().__init__()
        self.pictures: Tensor
        self.register_buffer("pictures", pictures)

    def forward(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b k"]:
        """(b, d) → (b, k)."""
        return -(x[:, None] - self.pictures).square().sum(2)  # (b, k, d) → (b, k)


class LeNet5Original(nn.Module):
    """The layer table above.

    image_size    only (32, 32): C5 needs a 5x5 map. Pad 28x28 digits by 2.
    """

    normalisation = (20.0, 200.0)  # the paper's scale: background -0.1, ink 1.175

    def __init__(self, *, in_channels: int = 1, num_classes: int = 10, image_size: tuple[int, int] = (32, 32)) -> None:
        super().__init__()
        if tuple(image_size) != (32, 32):
            raise UsageError(f"lenet5_original sees 32x32 pixels, not {image_size[0]}x{image_size[1]}", "use size 32")
        self.input_size = (in_channels, 32, 32)
        self.channels = (6, 16, 120, PIXELS)
        self.c1, self.s2 = nn.Conv2d(in_channels, 6, 5), Subsample(6)
        self.c3, self.s4 = PartialConvolution(6, TABLE, 5), Subsample(16)
        self.c5 = nn.Conv2d(16, 120, 5)
        self.f6 = nn.Linear(120, PIXELS)
        self.output = Likeness(pictures(num_classes)) if num_classes else nn.Identity()
        self.tanh = ScaledTanh()
        init_layers_uniform(self)

    def features(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """C1 (b, 6, 28, 28), C3 (b, 16, 10, 10), C5 (b, 120, 1, 1) and F6 (b, 84, 1, 1)."""
        require_exactly(x, *self.input_size)
        c1 = self.tanh(self.c1(x))  # (b, 6, 28, 28)
        c3 = self.tanh(self.c3(self.s2(c1)))  # (b, 16, 10, 10)
        c5 = self.tanh(self.c5(self.s4(c3)))  # (b, 120, 1, 1)
        f6 = self.tanh(self.f6(c5.flatten(1)))  # (b, 84)
        return [c1, c3, c5, f6[:, :, None, None]]

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Class scores (b, num_classes); with num_classes=0 the feature vector (b, channels[-1])."""
        return self.output(self.features(x)[-1].flatten(1))


@MODELS.register
def lenet5_original(**options) -> LeNet5Original:
    """LeNet-5 as published, LeCun et al. 1998, figure 2: 60,000 parameters at (1, 32, 32)."""
    return LeNet5Original(**options)
