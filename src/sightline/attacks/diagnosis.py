"""Can these figures be believed? Signs that a network hides its gradients instead of withstanding attacks.

Athalye, Carlini & Wagner 2018, "Obfuscated gradients give a false sense of security" (arXiv:1802.00420); Carlini et al.
2019, "On evaluating adversarial robustness" (arXiv:1902.06705). A gradient attack fails on such a network although
adversarial images are there: a search that asks for scores only finds them. Where any of the signs holds, an accuracy
under a gradient attack is no evidence of robustness, and no verdict calls it that.

    no gradient         the gradient of the loss is exactly 0 for most of the images: a layer cuts or quantises it
    saturated           it is 0 because the outputs are, or behave as, probabilities at their limits
    probabilities       the outputs lie in 0 to 1 and sum to 1: a softmax on top flattens the loss that attacks ascend
    random              two passes of one image differ: a single gradient is noise
    unbreakable         even with a budget of 255 levels most images are still right, where a blank picture would do
    search wins         random search breaks significantly more of the same images than the gradients do
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from scipy.stats import binomtest
from torch import Tensor

from .draws import Ids
from .gradient.pgd import pgd
from .scores import Labels, Pixels, Scores, ascent, objective, predicted
from .search.square import square

MOST = 64  # images
ZERO = 0.5  # share of images without gradient that is a sign
LARGE = 30.0  # a margin of scores whose softmax is 1 in float32 to the last digit
UNBROKEN = 0.5  # share of the right images that a budget of 255 levels must leave below
SURE = 0.05  # of McNemar's exact test between the two attacks

REASONS = {
    "no gradient": "the gradient is exactly zero, so a layer cuts it off or quantises",
    "saturated": "the outputs are saturated, so that the gradient of the loss underflows to zero",
    "probabilities": "the network returns probabilities instead of scores",
    "random": "the same image gets different answers, so a single gradient is noise",
    "unbreakable": "even a budget of 255 levels breaks only a part of the images",
    "search wins": "a search that never asks for gradients breaks more images",
}


@dataclass(frozen=True)
class Diagnosis:
    """`signs` as in REASONS; the figures behind them, of `n` images that are right before the attack."""

    signs: tuple[str, ...]
    n: int
    zero_gradients: float
    left_by_gradients: float
    left_by_search: float
    left_unbounded: float

    @property
    def believable(self) -> bool:
        return not self.signs

    def to_json(self) -> dict[str, object]:
        figures = ("zero_gradients", "left_by_gradients", "left_by_search", "left_unbounded")
        return {"signs": list(self.signs), "n": self.n} | {name: getattr(self, name) for name in figures}


def diagnose(
    scores: Scores,
    x: Pixels,
    y: Labels,
    *,
    eps: float,
    ids: Ids,
    seed: int = 0,
    steps: int = 20,
    queries: int = 300,
    batch: int = 64,
) -> Diagnosis | None:
    """Look for the signs on at most 64 images that the network has right; None if there is none.

    PGD and random search get the same images and the same budget `eps` in the maximum norm.
    """
    right = (predicted(scores, x, batch) == y).nonzero()[:MOST, 0]
    if not len(right):
        return None
    x, y, ids = x[right], y[right], ids[right]
    with torch.no_grad():
        answers, again = (torch.cat([scores(part).float() for part in x.split(batch)]) for _ in range(2))
    zero = _share(~_gradients(scores, x, y, batch).flatten(1).any(1))
    probable = bool(((answers >= 0) & (answers <= 1)).all() and (answers.sum(1) - 1).abs().max() < 1e-3)
    saturated = zero > ZERO and (_at_limits(answers) if probable else _far_apart(answers))

    def left(attack: Callable[[Pixels, Labels, Ids], Pixels]) -> Tensor:
        parts = zip(x.split(batch), y.split(batch), ids.split(batch), strict=True)
        moved = torch.cat([attack(*part).round() for part in parts])
        return predicted(scores, moved, batch) == y

    by_gradients = left(lambda x, y, i: pgd(scores, x, y, eps=eps, steps=steps))
    by_search = left(lambda x, y, i: square(scores, x, y, eps=eps, queries=queries, seed=seed, ids=i))
    unbounded = left(lambda x, y, i: pgd(scores, x, y, eps=255.0, steps=steps))
    found = {
        "no gradient": zero > ZERO and not saturated,
        "saturated": saturated,
        "probabilities": probable,
        "random": not torch.equal(answers, again),
        "unbreakable": _share(unbounded) > UNBROKEN,
        "search wins": _wins(by_gradients, by_search),
    }
    shares = (zero, _share(by_gradients), _share(by_search), _share(unbounded))
    return Diagnosis(tuple(name for name, holds in found.items() if holds), len(x), *shares)


def _gradients(scores: Scores, x: Pixels, y: Labels, batch: int) -> Pixels:
    pairs = zip(x.split(batch), y.split(batch), strict=True)
    return torch.cat([ascent(scores, part, objective(own))[1] for part, own in pairs])


def _at_limits(answers: Tensor) -> bool:
    """Whether most of the probabilities are 0 or 1 to the last digits of float32."""
    return bool(((answers < 1e-6) | (answers > 1 - 1e-6)).all(1).float().mean() > ZERO)


def _far_apart(answers: Tensor) -> bool:
    """Whether the best score is so far above the next that its probability is 1 in float32."""
    best = answers.topk(2, dim=1).values
    return bool(((best[:, 0] - best[:, 1]) > LARGE).float().mean() > ZERO)


def _wins(by_gradients: Tensor, by_search: Tensor) -> bool:
    """Whether more images fall to the search alone than to the gradients alone than chance explains (McNemar, exact)."""
    search_only = int((by_gradients & ~by_search).sum())
    gradients_only = int((by_search & ~by_gradients).sum())
    if not search_only:
        return False
    return bool(binomtest(search_only, search_only + gradients_only, 0.5, alternative="greater").pvalue < SURE)


def _share(flags: Tensor) -> float:
    return float(flags.float().mean())
