"""What an attack needs of a network: a function from pixels to scores, and the gradient of a loss through it.

Pixels are float32 (b, c, h, w) in levels, 0 to 255, in the network's frame; scores are (b, k), before any softmax. The
normalisation is part of the function, so a budget of 8 is 8 levels of every channel whatever the data's deviation.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

Pixels = Float[Tensor, "b c h w"]
Scores = Callable[[Tensor], Tensor]
Labels = Int[Tensor, "b"]
Objective = Callable[[Tensor], Tensor]  # scores (b, k) → the value (b,) that the attack increases


class Counted:
    """Scores that count the images which went forwards through the network, and those which came back."""

    def __init__(self, scores: Scores) -> None:
        self.scores = scores
        self.forwards = 0
        self.backwards = 0

    def __call__(self, pixels: Tensor) -> Tensor:
        self.forwards += len(pixels)
        return self.scores(pixels)


def objective(y: Labels, target: Labels | None = None) -> Objective:
    """The cross-entropy of the true class; with a target, minus that of the target. Both are to be increased."""
    if target is None:
        return lambda scores: F.cross_entropy(scores.float(), y, reduction="none")
    return lambda scores: -F.cross_entropy(scores.float(), target, reduction="none")


def margin(scores: Float[Tensor, "b k"], y: Labels) -> Float[Tensor, "b"]:
    """The score of class y minus the highest other score: negative exactly where another class is predicted."""
    own = scores.gather(1, y[:, None])[:, 0]  # (b, 1) → (b,)
    others = scores.scatter(1, y[:, None], float("-inf"))
    return own - others.amax(1)


def ascent(scores: Scores, pixels: Pixels, value: Objective) -> tuple[Float[Tensor, "b"], Pixels]:
    """The objective (b,) and its gradient with respect to the pixels (b, c, h, w).

    A network that cuts the graph gives a gradient of zeros, as does one whose gradient is not finite; `diagnosis` says so.
    Gradients of parameters are left as they are.
    """
    leaf = pixels.detach().requires_grad_()
    with torch.enable_grad():
        values = value(scores(leaf))
        found = None
        if values.requires_grad:
            (found,) = torch.autograd.grad(values.sum(), leaf, allow_unused=True)
    if isinstance(scores, Counted):
        scores.backwards += len(pixels)
    gradient = torch.zeros_like(leaf) if found is None else found.nan_to_num(0.0, 0.0, 0.0)
    return values.detach(), gradient.detach()


@torch.no_grad()
def predicted(scores: Scores, pixels: Pixels, batch: int) -> Labels:
    """The class with the highest score (b,), `batch` images at a time."""
    return torch.cat([scores(part).argmax(1) for part in pixels.split(batch)])
