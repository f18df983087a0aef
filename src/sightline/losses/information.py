"""Information, entropy and cross-entropy of given probabilities (Shannon 1948), with 0 · log 0 = 0.

For the scores of a network use `cross_entropy`, which is numerically stable where a softmax followed by a logarithm is
not.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor


def information(p: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """-log p, in nats: the surprise of an event of probability p."""
    return -p.log()


def entropy(p: Float[Tensor, "*b k"]) -> Float[Tensor, "*b"]:
    """-Σ p log₂ p, in bits: 0 for a certain event, 1 for a fair coin."""
    return -torch.xlogy(p, p).sum(-1) / math.log(2)


def cross_entropy_between(truth: Float[Tensor, "*b k"], guess: Float[Tensor, "*b k"]) -> Float[Tensor, "*b"]:
    """-Σ truth log guess, in nats. Its gradient with respect to the guess is -truth/guess (to softmax scores: p - y)."""
    possible = truth > 0
    return -(truth * guess.where(possible, 1.0).log()).sum(-1)
