"""Information, entropy and cross-entropy of given probabilities (Shannon 1948), with 0 · log 0 = 0.

For probabilities that are known as such. A network gives scores: `cross_entropy` takes those, and is stable where a
softmax followed by a logarithm is not.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor


def information(p: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """-log p, in nats: how surprising an event of probability p is."""
    return -p.log()


def entropy(p: Float[Tensor, "*b k"]) -> Float[Tensor, "*b"]:
    """-Σ p log₂ p, in bits: 0 for a sure thing, 1 for a fair coin."""
    return -torch.xlogy(p, p).sum(-1) / math.log(2)


def cross_entropy_between(truth: Float[Tensor, "*b k"], guess: Float[Tensor, "*b k"]) -> Float[Tensor, "*b"]:
    """-Σ truth log guess, in nats. Its gradient at the guess is -truth/guess (at scores behind a softmax: p - y)."""
    happens = truth > 0
    return -(truth * guess.where(happens, 1.0).log()).sum(-1)
