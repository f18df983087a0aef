"""Deformable parts: a root filter, and parts that may move at a cost (Felzenszwalb, Girshick, McAllester & Ramanan 2010).

    score(p) = root at p + Σ over parts of max over q of (part at q - cost · |q - (p + anchor)|²)

The maximum over q for all p at once is a distance transform of the part's responses. An image's score is its best place's.
Learning is a latent SVM: the hinge loss of that maximum, by gradient; where the parts lie is the hidden variable that the
maximum fills in.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

LEAST_COST = 1e-3


def distance_transform(score: Float[Tensor, "b h w"], cost: Tensor | float) -> Float[Tensor, "b h w"]:
    """max over q of score(q) - cost · |p - q|², one axis after the other, which is exact for squared distances."""
    for axis in (1, 2):
        at = torch.arange(score.shape[axis], device=score.device, dtype=score.dtype)
        penalty = cost * (at[:, None] - at).square()  # (p, q)
        if axis == 1:
            score = (score[:, None] - penalty[None, :, :, None]).amax(2)
        else:
            score = (score[:, :, None] - penalty).amax(3)
    return score


class PartModel(nn.Module):
    """Scores (b,) of feature maps (b, c, h, w).

    root (c, rh, rw), parts (n, c, ph, pw), anchor (n, 2) of each part in the root, cost (n,) of moving it by a cell
    """

    anchor: Tensor

    def __init__(
        self, channels: int, root: tuple[int, int], part: tuple[int, int], anchors: list[tuple[int, int]]
    ) -> None:
        super().__init__()
        self.root = nn.Parameter(torch.zeros(channels, *root))
        self.parts = nn.Parameter(torch.zeros(len(anchors), channels, *part))
        self.cost = nn.Parameter(torch.full((len(anchors),), 0.1))
        self.bias = nn.Parameter(torch.zeros(()))
        self.register_buffer("anchor", torch.tensor(anchors, dtype=torch.int64).view(-1, 2))

    def maps(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b h w"]:
        """The score of every place of the root that lies in the image."""
        total = functional.conv2d(x, self.root[None])[:, 0]
        rows, columns = total.shape[1:]
        for part, cost, (dy, dx) in zip(self.parts, self.cost, self.anchor.tolist(), strict=True):
            response = functional.conv2d(x, part[None])[:, 0]
            best = distance_transform(response, cost.clamp(min=0))
            total = total + best[:, dy : dy + rows, dx : dx + columns]
        return total + self.bias

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b"]:
        return self.maps(x).amax((1, 2))


def latent_svm(
    model: PartModel,
    x: Float[Tensor, "n c h w"],
    y: Float[Tensor, "n"],
    *,
    steps: int,
    rate: float = 0.05,
    decay: float = 1e-3,
) -> list[float]:
    """Minimise decay / 2 · ‖w‖² + the mean of max(0, 1 - y · score), y being 1 or -1. Returns the loss of each step. Costs stay
    positive."""
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        weight = sum(p.square().sum() for p in (model.root, model.parts))
        loss = (1 - y * model(x)).clamp(min=0).mean() + decay / 2 * weight
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            model.cost.clamp_(min=LEAST_COST)
        losses.append(float(loss.detach()))
    return losses
