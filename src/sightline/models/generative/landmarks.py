"""A small network that finds landmarks: strided convolutions, one hidden layer, three numbers a landmark."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

_GROUPS = 8


class LandmarkNetwork(nn.Module):
    """Images (b, c, h, w) in [-1, 1] → landmarks (b, points, 3): x and y from -1 to 1 over the picture, z in the same unit.

    base   channels of the finest maps; a multiple of 8
    """

    def __init__(self, shape: tuple[int, int, int], points: int, *, base: int = 24, hidden: int = 256) -> None:
        super().__init__()
        inputs, height, width = shape
        layers: list[nn.Module] = []
        for wide in (base, 2 * base, 4 * base, 4 * base):
            layers += [nn.Conv2d(inputs, wide, 4, stride=2, padding=1), nn.GroupNorm(_GROUPS, wide), nn.ReLU()]
            inputs, height, width = wide, height // 2, width // 2
        self.points = points
        head = nn.Linear(hidden, 3 * points)
        nn.init.zeros_(head.weight)  # all landmarks start in the middle
        nn.init.zeros_(head.bias)
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * height * width, hidden), nn.ReLU(), head)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b p 3"]:
        """The landmarks of each image."""
        return self.layers(x).unflatten(1, (self.points, 3))  # (b, 3p) → (b, p, 3)
