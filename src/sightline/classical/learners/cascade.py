"""AdaBoost over Haar features, and the attentional cascade (Viola & Jones 2001, CVPR; Freund & Schapire 1997).

A stump answers 1 where its feature lies on one side of a threshold. AdaBoost takes the stump with the least weighted error ε,
divides the weights of the examples that it gets right by (1 - ε) / ε, and gives it the vote log((1 - ε) / ε). A stage adds
stumps until it lets `detection` of the positive windows pass and at most `passing` of the negative ones; the next stage sees
only the negatives that pass all stages before. So most windows cost a few features.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.classical.features.haar import Haar, haar_features
from sightline.classical.pipeline import ENCODED, Figures, Learner, Vectors, blocks

LEAST_NEGATIVES = 10  # that a stage needs to learn from
SHARPNESS = 10.0  # of the scores: a margin of 0.1 of all votes is a factor e


class Stump(NamedTuple):
    """Answers 1 where sign · (feature - threshold) > 0; `vote` is log((1 - error) / error)."""

    feature: int
    threshold: float
    sign: float
    error: float

    @property
    def vote(self) -> float:
        error = min(max(self.error, 1e-6), 1 - 1e-6)
        return float(np.log((1 - error) / error))


def best_stump(
    values: Float[np.ndarray, "n f"],
    order: Int[np.ndarray, "n f"],
    face: Bool[np.ndarray, "n"],
    weight: Float[np.ndarray, "n"],
) -> Stump:
    """The stump with the least weighted error; `order` sorts each feature's values, and the weights sum to 1.

    With the weights of the positive and negative examples up to a value, P and N, of all positive ones T: a stump that
    answers 1 above it is wrong on P and on the negatives above, (1 - T) - N; one that answers 1 below it, on the rest.
    """
    positive = np.cumsum(np.where(face, weight, 0.0)[order], 0)
    negative = np.cumsum(np.where(face, 0.0, weight)[order], 0)
    above = positive + (negative[-1] - negative)
    sorted_ = np.take_along_axis(values, order, 0)
    between = np.concatenate(
        [sorted_[1:] > sorted_[:-1], np.ones((1, values.shape[1]), bool)]
    )  # equal values stay together
    above = np.where(between, above, 0.5)
    error = np.minimum(above, 1 - above)
    place, feature = np.unravel_index(int(error.argmin()), error.shape)
    value = sorted_[place, feature]
    following = sorted_[place + 1, feature] if place + 1 < len(values) else value + 1
    sign = 1.0 if above[place, feature] <= 0.5 else -1.0
    return Stump(int(feature), float((value + following) / 2), sign, float(error[place, feature]))


def answers(values: Float[np.ndarray, "n f"], stump: Stump) -> Float[np.ndarray, "n"]:
    return (stump.sign * (values[:, stump.feature] - stump.threshold) > 0).astype(float)


class Cascade(Learner):
    """Scores (b, 2): of the class `positive` the smallest margin of all stages, times 10, of the other its negative. A margin
    is the share of the votes by which a stage is passed. Gradients are those of stumps with a soft edge.

    feature, threshold, sign, spread, vote (stages, rounds)   the stumps; -1 for none. `spread` is the deviation of the feature
    limit (stages,)   votes that pass a stage
    """

    feature: Tensor
    threshold: Tensor
    sign: Tensor
    spread: Tensor
    vote: Tensor
    limit: Tensor
    templates_: Tensor

    def __init__(
        self, side: int, *, stages: int, rounds: int, candidates: int, detection: float, passing: float, positive: int
    ) -> None:
        super().__init__()
        self.side, self.detection, self.passing, self.positive = side, detection, passing, positive
        self.candidates: list[Haar] = haar_features(side, candidates)
        matrix = np.stack([haar.template(side).ravel() for haar in self.candidates])
        self.register_buffer("templates_", torch.from_numpy(matrix).float(), persistent=False)
        self.register_buffer("feature", torch.full((stages, rounds), -1, dtype=torch.int64))
        for name in ("threshold", "sign", "vote"):
            self.register_buffer(name, torch.zeros(stages, rounds))
        self.register_buffer("spread", torch.ones(stages, rounds))
        self.register_buffer("limit", torch.zeros(stages))

    def steps(self, passes: int) -> tuple[str, ...]:
        return tuple(f"stage {number + 1}" for number in range(len(self.limit)))

    def margins(self, x: Float[Tensor, "b size"]) -> Float[Tensor, "b stages"]:
        """The share of the votes by which each stage is passed; a stage without stumps is passed by all, with 1."""
        response = x @ self.templates_[self.feature.clamp(min=0).flatten()].T
        gap = self.sign.flatten() * (response - self.threshold.flatten())
        soft = (gap / (0.25 * self.spread.flatten())).sigmoid()
        stump = (gap > 0).to(x.dtype) + soft - soft.detach()
        votes = (stump * self.vote.flatten()).unflatten(1, self.feature.shape).sum(2)
        used = (self.feature >= 0).any(1)
        margin = (votes - self.limit) / self.vote.sum(1).clamp(min=1e-6)
        return torch.where(used, margin, 1.0)

    def forward(self, x: Float[Tensor, "b size"]) -> Float[Tensor, "b 2"]:
        margin = SHARPNESS * self.margins(x).amin(1) + 1e-3  # a window that just passes is one
        pair = (margin, -margin) if self.positive == 0 else (-margin, margin)
        return torch.stack(pair, 1)

    def solve(self, chunk: int, vectors: Vectors) -> Figures:
        labels = vectors.labels.cpu().numpy()
        pieces = [self._responses(vectors(places), chunk) for places in blocks(len(vectors), ENCODED)]
        values, passed = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
        face = labels == self.positive
        kept = (labels >= 0) & (face | passed)
        values, face = values[kept], face[kept]
        faced = int(face.sum())
        if (~face).sum() < LEAST_NEGATIVES or faced == 0:
            return {"negatives": float((~face).sum()), "stumps": 0.0}
        order = np.argsort(values, 0, kind="stable")
        weight = np.where(face, 0.5 / faced, 0.5 / (len(face) - faced))
        votes, stumps = np.zeros(len(face)), 0
        limit, rate = 0.0, 1.0
        for stumps in range(1, self.feature.shape[1] + 1):
            stump = best_stump(values, order, face, weight)
            right = answers(values, stump) == face
            weight = np.where(right, weight * stump.error / (1 - min(stump.error, 1 - 1e-6)), weight)
            weight = np.maximum(weight, 1e-12)
            weight /= weight.sum()
            votes += stump.vote * answers(values, stump)
            self._keep(chunk, stumps - 1, stump, float(values[:, stump.feature].std()))
            # the votes that let `detection` of the positives pass, a little lower for rounding
            limit = float(np.quantile(votes[face], 1 - self.detection, method="lower")) - 1e-4
            rate = float((votes[~face] >= limit).mean())
            if rate <= self.passing:
                break
        self.limit[chunk] = limit
        return {"negatives": float((~face).sum()), "stumps": float(stumps), "passing": rate}

    def _responses(
        self, x: Float[Tensor, "b size"], chunk: int
    ) -> tuple[Float[np.ndarray, "b f"], Bool[np.ndarray, "b"]]:
        """Of all candidates, and which windows have passed the stages before."""
        before = self.margins(x)[:, :chunk]
        passed = (before >= 0).all(1) if chunk else torch.ones(len(x), dtype=torch.bool)
        return (x @ self.templates_.T).cpu().numpy(), passed.cpu().numpy()

    def _keep(self, stage: int, number: int, stump: Stump, spread: float) -> None:
        self.feature[stage, number] = stump.feature
        self.threshold[stage, number] = stump.threshold
        self.sign[stage, number] = stump.sign
        self.vote[stage, number] = stump.vote
        self.spread[stage, number] = max(spread, 1e-6)
