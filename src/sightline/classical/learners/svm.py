"""One linear classifier a class against all others, by stochastic gradient descent on the hinge loss.

Minimises, for every class c with targets y = 1 for its images and -1 for all others,

    decay / 2 · ‖w‖² + mean of max(0, 1 - y (w · x + b))

Vectors are centred and divided by one deviation an entry and by √size, so that they are about 1 long whatever the encoder. The
step starts at `rate` and falls linearly to 0 over all passes, which does what averaging the iterates does (Shalev-Shwartz &
Singer 2007, Pegasos; Bottou 2010). One-against-all with this loss is what won the ImageNet challenges of 2010 and 2011.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sightline.classical.pipeline import ENCODED, Figures, Learner, Vectors, blocks

LEAST_DEVIATION = 1e-6


class HingeSvm(Learner):
    """weight (k, size), bias (k,): the classifiers, for standardised vectors; mean and scale (size,): of standardising."""

    weight: Tensor
    bias: Tensor
    mean: Tensor
    scale: Tensor
    iterates = True
    ready = 2

    def __init__(self, size: int, classes: int, *, rate: float = 10.0, decay: float = 1e-5) -> None:
        super().__init__()
        self.rate, self.decay = rate, decay
        self.register_buffer("weight", torch.zeros(classes, size))
        self.register_buffer("bias", torch.zeros(classes))
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    def forward(self, x: Float[Tensor, "b size"]) -> Float[Tensor, "b k"]:
        return functional.linear((x - self.mean) * self.scale, self.weight, self.bias)

    def steps(self, passes: int) -> tuple[str, ...]:
        return ("standardise", *(f"SVM pass {number + 1}" for number in range(passes)))

    def solve(self, chunk: int, vectors: Vectors) -> Figures:
        return self._standardise(vectors) if chunk == 0 else self._pass(chunk - 1, vectors)

    def _standardise(self, vectors: Vectors) -> Figures:
        size, n = self.mean.shape[0], len(vectors)
        total, square = (torch.zeros(size, dtype=torch.float64, device=self.mean.device) for _ in range(2))
        for places in blocks(n, ENCODED):
            x = vectors(places).double()
            total += x.sum(0)
            square += x.square().sum(0)
        mean = total / n
        deviation = (square / n - mean.square()).clamp(min=0).sqrt()
        floor = max(LEAST_DEVIATION, 0.01 * float(deviation.mean()))  # an entry that hardly moves is not blown up
        self.mean.copy_(mean)
        self.scale.copy_(1 / (deviation.clamp(min=floor) * size**0.5))
        return {"deviation": float(deviation.mean())}

    def _pass(self, number: int, vectors: Vectors) -> Figures:
        examples = vectors.examples
        known = examples.labels >= 0
        order = examples.order("svm", number)
        order = order[known[order]]
        parts = order.split(examples.batch)
        steps, loss, entropy, right = len(parts) * examples.passes, 0.0, 0.0, 0
        for done, places in enumerate(parts, number * len(parts)):
            x = (vectors(places) - self.mean) * self.scale
            label = examples.labels[places].to(x.device)
            scores = functional.linear(x, self.weight, self.bias)
            y = 2.0 * functional.one_hot(label, self.bias.shape[0]).to(scores.dtype) - 1
            margin = 1 - y * scores
            slope = torch.where(margin > 0, -y, 0.0) / len(places)
            step = self.rate * (1 - done / steps)
            self.weight.mul_(1 - min(step * self.decay, 1.0)).sub_(step * (slope.T @ x))
            self.bias.sub_(step * slope.sum(0))
            loss += float(margin.clamp(min=0).sum())
            entropy += float(functional.cross_entropy(scores, label, reduction="sum"))
            right += int((scores.argmax(1) == label).sum())
        n = max(len(order), 1)
        return {"loss": entropy / n, "accuracy": right / n, "hinge": loss / n}
