"""Several questions about one image, a head for each on a shared trunk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.losses.classification import binary_cross_entropy, cross_entropy
from sightline.losses.regression import smooth_l1, squared_error
from sightline.metrics.answers import answer_metrics
from sightline.structures.batch import Batch
from sightline.structures.heads import Head
from sightline.structures.predictions import Answers, Prediction
from sightline.structures.rows.labels import AnswerRows
from sightline.structures.targets import Labels, Values

from .task import Loss, Task, Turn

MODEL, BALANCE = "model", "balance"


class Uncertainty(nn.Module):
    """Weights of several losses that are learned beside the network (Kendall, Gal & Cipolla 2018, arXiv:1705.07115).

    Each question has a variance σ² = exp(s): its loss L becomes exp(-s) · L + s / 2, half of the first term for squared errors
    (their equations 7 and 10; whoever hands over the losses halves those). What cannot be answered well weighs less, and s / 2
    keeps the variance from growing without end.
    """

    def __init__(self, questions: int) -> None:
        super().__init__()
        self.log_variance = nn.Parameter(torch.zeros(questions))

    def forward(self, losses: Float[Tensor, "*b h"]) -> Float[Tensor, "*b h"]:
        """The losses with their weights."""
        return (-self.log_variance).exp() * losses + 0.5 * self.log_variance


class Multitask(Task):
    """`model` maps images (b, c, h, w) in 0-255 units to outputs (b, k), a block of them for each of `heads`: the scores of
    classes, the scores of labels, or a number, which is mean + std · output with `mean` (k,) and `std` (k,) of the training
    images. In training the network may return a NamedTuple: the outputs, followed by those of auxiliary heads.

    The loss of a head is the cross-entropy of its classes, the binary cross-entropy of its labels, or the squared error of
    the standardised number (Huber's with `robust`). An unknown answer weighs 0: its gradient is exactly 0. With
    `share` (h,), the share of the training images that know each answer, and m images with any answer, the loss is

        1/m · Σ_h weight_h / share_h · Σ_{i knows h} L_hi

    which is the weighted sum of the means over known answers in expectation, and, unlike that sum, exactly the same whether
    a batch comes at once or in parts. `balance` learns the weights instead (`Uncertainty`).

    Every `conflict_every`-th batch also gives the cosine between the gradients of each two heads on `shared`, the parameters
    below the heads: below 0, what helps one harms the other.
    """

    mean: Tensor
    std: Tensor
    constant: Tensor
    share: Tensor
    weight: Tensor
    halved: Tensor

    def __init__(
        self,
        model: nn.Module,
        heads: Sequence[Head],
        *,
        mean: Float[Tensor, "k"],
        std: Float[Tensor, "k"],
        share: Float[Tensor, "h"],
        weight: Float[Tensor, "h"],
        balance: nn.Module | None = None,
        robust: bool = False,
        shared: Sequence[nn.Parameter] = (),
        conflict_every: int = 0,
        threshold: Mapping[str, float] | None = None,
        aux_weight: float = 0.3,
    ) -> None:
        super().__init__()
        self.model = model
        if balance is not None:
            self.balance = balance
            self.turns = (Turn(MODEL, (MODEL, BALANCE)),)
        self.learned = balance is not None
        self.heads, self.robust, self.aux_weight = tuple(heads), robust, aux_weight
        self.shared, self.conflict_every = tuple(shared), conflict_every
        self.threshold = {h.name: (threshold or {}).get(h.name, 0.5) for h in self.heads if h.kind == "labels"}
        spread = torch.ones_like(std).where(~self._numbers(std), std)
        centre = torch.zeros_like(mean).where(~self._numbers(mean), mean)
        halved = torch.tensor([0.5 if head.kind == "number" else 1.0 for head in self.heads])
        buffers = {"mean": centre, "std": spread, "constant": mean, "share": share, "weight": weight, "halved": halved}
        for name, value in buffers.items():
            self.register_buffer(name, value, persistent=False)

    def loss(self, batch: Batch, turn: str = MODEL) -> Loss:
        values = _values(batch)
        outputs = self.model(batch.image)
        scores, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)  # (b, k) each
        means, known = self._losses(scores, values)
        images = values.known.any(1).sum().to(means.dtype)
        factor = known / (images.clamp(min=1) * self.share)  # (h,): from means over known answers to the formula above
        total = self._weighted(means, factor)
        for extra in auxiliary:
            total = total + self.aux_weight * self._weighted(self._losses(extra, values)[0], factor)
        parts: dict[str, Tensor | tuple[Tensor, Tensor]] = {
            f"{head.name}.loss": (mean.detach(), n) for head, mean, n in zip(self.heads, means, known, strict=True)
        }
        parts["loss"] = ((means.detach() * factor).mean(), images)
        parts |= self._conflicts(batch, means, known)
        if self.learned:
            parts |= {
                f"{head.name}.weight": weight for head, weight in zip(self.heads, self._learned_weights(), strict=True)
            }
        return Loss(total * (images > 0), images, parts)

    def predict(self, batch: Batch) -> Answers:
        return Answers(self.answers(self.model(batch.image).float()))

    def answers(self, scores: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """Outputs of the network → probabilities of classes and labels, and numbers in the units of the data."""
        parts = []
        for head in self.heads:
            own = scores[:, head.place]
            if head.kind == "number":
                parts.append(own * self.std[head.place] + self.mean[head.place])
            else:
                parts.append(own.softmax(1) if head.kind == "class" else own.sigmoid())
        return torch.cat(parts, 1)

    def rows(self, batch: Batch, prediction: Prediction) -> AnswerRows:
        assert isinstance(prediction, Answers)
        values = _values(batch)
        target = torch.where(values.known, values.value.double(), torch.nan).cpu().numpy()
        constant, scale = (x.cpu().double().numpy() for x in (self.constant, self.std))
        answer = prediction.value.cpu().double().numpy()
        return AnswerRows(batch.id.cpu().numpy(), target, answer, self.heads, constant, scale, self._thresholds())

    def metrics(self, rows: AnswerRows) -> dict[str, float | None]:
        return answer_metrics(rows)

    def _thresholds(self) -> Float[np.ndarray, "k"]:
        found = np.full(self.heads[-1].stop, 0.5)
        for head in self.heads:
            found[head.place] = self.threshold.get(head.name, 0.5)
        return found

    def _numbers(self, like: Tensor) -> Tensor:
        """(k,) bool: the entries that are numbers."""
        kinds = [head.kind == "number" for head in self.heads for _ in head.answers]
        return torch.tensor(kinds, device=like.device)

    def _losses(self, scores: Float[Tensor, "b k"], values: Values) -> tuple[Float[Tensor, "h"], Float[Tensor, "h"]]:
        """The mean loss of each head over the images that know its answer, and their number."""
        means, known = [], []
        for head in self.heads:
            own, value, there = scores[:, head.place], values.value[:, head.place], values.known[:, head.place]
            if head.kind == "class":
                mean, weight = cross_entropy(own, class_labels(value, there))
            elif head.kind == "labels":  # all labels of an image together are one answer
                mean, weight = binary_cross_entropy(own, value, known=there)
                weight = weight / len(head.answers)
            else:
                standard = (value - self.mean[head.place]) / self.std[head.place]
                mean, weight = (smooth_l1 if self.robust else squared_error)(own, standard, known=there)
            means.append(mean)
            known.append(weight)
        return torch.stack(means), torch.stack(known)

    def _weighted(self, means: Float[Tensor, "h"], factor: Float[Tensor, "h"]) -> Float[Tensor, ""]:
        """The weighted sum. A learned weight only counts in so far as its answer is known, its logarithm included."""
        own = self.balance((self.halved * means)[None])[0] if self.learned else self.weight * means
        return (own * factor).sum()

    def _learned_weights(self) -> Float[Tensor, "h"]:
        """What each loss is multiplied by."""
        with torch.no_grad():
            one, none = (self.balance(torch.full_like(self.share, value)[None])[0] for value in (1.0, 0.0))
        return one - none

    def _conflicts(
        self, batch: Batch, means: Float[Tensor, "h"], known: Float[Tensor, "h"]
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """The cosine of each two heads, of weight 0 in all batches but every n-th."""
        if not self.conflict_every or len(self.heads) < 2:
            return {}
        names = [f"{one.name}.{other.name}.cosine" for one, other in combinations(self.heads, 2)]
        nothing = torch.zeros((), device=means.device)
        measured = [p for p in self.shared if p.requires_grad]
        number = int(batch.position[0]) // len(batch.position)
        if number % self.conflict_every or not measured or not means.requires_grad:
            return dict.fromkeys(names, (nothing, nothing))
        gradients = [torch.autograd.grad(mean, measured, retain_graph=True, allow_unused=True) for mean in means]
        flat = [torch.cat([_zero_like(g, p).flatten() for g, p in zip(of, measured, strict=True)]) for of in gradients]
        there = [(known[i] > 0) & (known[j] > 0) for i, j in combinations(range(len(flat)), 2)]
        cosines = [torch.cosine_similarity(a, b, dim=0) for a, b in combinations(flat, 2)]
        return {name: (c, t.to(c.dtype)) for name, c, t in zip(names, cosines, there, strict=True)}


def class_labels(value: Float[Tensor, "b k"], known: Tensor) -> Labels:
    """The class of each image from a 1 among zeros; unknown where there is no 1."""
    best, index = value.where(known, 0.0).max(1)
    return Labels(index, best > 0.5)


def _zero_like(gradient: Tensor | None, parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if gradient is None else gradient


def _values(batch: Batch) -> Values:
    if not isinstance(batch.target, Values):
        raise TypeError(f"Multitask needs Values, but the batch has {type(batch.target).__name__}")
    return batch.target
