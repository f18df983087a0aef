"""Loss surfaces over the plane, and the ways that update rules take down them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from sightline.drawing.plane import Surface, Window

from . import updates

Rule = Callable[[Tensor, Tensor, updates.Memory], tuple[Tensor, updates.Memory]]
Height = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Landscape:
    """A function of the plane: `height` takes (…, 2) and gives (…); where paths start; where its least value is, and the part
    of it to draw."""

    height: Height
    start: tuple[float, float]
    least: tuple[float, float]
    window: Window

    def drawn(self, n: int = 120, levels: int = 14) -> Surface:
        """Heights over the window, with level lines at even ranks, so that they show both the walls and the valley."""
        values = self.height(torch.from_numpy(self.window.grid(n))).numpy()
        return Surface(values, [float(v) for v in np.quantile(values, np.linspace(0.02, 0.95, levels))])


def ravine(steepness: float = 100.0) -> Landscape:
    """½(x² + steepness · y²): a long valley along x between steep walls."""

    def height(w: Tensor) -> Tensor:
        return 0.5 * (w[..., 0] ** 2 + steepness * w[..., 1] ** 2)

    return Landscape(height, (10.0, 1.0), (0.0, 0.0), Window(-4, 11, -1.5, 1.5))


def _banana(w: Tensor) -> Tensor:
    """Rosenbrock's (1960) with a milder wall: the valley bends."""
    return (1 - w[..., 0]) ** 2 + 10 * (w[..., 1] - w[..., 0] ** 2) ** 2


def _saddle(w: Tensor) -> Tensor:
    """Level in the middle, down along y, and up again far away."""
    return w[..., 0] ** 2 - w[..., 1] ** 2 + 0.1 * w[..., 1] ** 4


LANDSCAPES: Mapping[str, Landscape] = {
    "ravine": ravine(),
    "banana": Landscape(_banana, (-1.2, 1.6), (1.0, 1.0), Window(-2, 2, -1, 3)),
    "saddle": Landscape(_saddle, (1.5, 0.01), (0.0, 5**0.5), Window(-2.5, 2.5, -1.5, 3.5)),
}


def walked(landscape: Landscape, rule: Rule, steps: int) -> Tensor:
    """(steps + 1, 2) places in float64, from the start; the gradient is torch's."""
    w = torch.tensor(landscape.start, dtype=torch.float64)
    memory: updates.Memory = {}
    places = [w]
    for _ in range(steps):
        w, memory = rule(w, slope(landscape.height, w), memory)
        places.append(w)
    return torch.stack(places)


def slope(height: Height, w: Tensor) -> Tensor:
    """The gradient of the height at w."""
    leaf = w.detach().requires_grad_()
    return torch.autograd.grad(height(leaf), leaf)[0]


def nesterov_of(landscape: Landscape, *, lr: float, beta: float) -> Rule:
    """Nesterov's rule as published, as a rule like the others: it takes the gradient ahead, and ignores the one here."""

    def rule(w: Tensor, g: Tensor, memory: updates.Memory) -> tuple[Tensor, updates.Memory]:
        return updates.nesterov(w, partial(slope, landscape.height), memory, lr=lr, beta=beta)

    return rule
