"""The order of training samples as a pure function of (seed, epoch): no state to save, independent of workers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.randomness.keyed import integers, permutation, uniform

Order = Callable[[int, int], Int[Tensor, "n"]]  # (seed, epoch) → n places among the training samples


def shuffle(n: int) -> Order:
    """Every sample once an epoch, in a new order each."""
    return lambda seed, epoch: permutation(n, seed, "order", epoch)


def weighted(weights: Float[np.ndarray, "n"]) -> Order:
    """n draws with replacement, with probabilities proportional to the weights."""
    edges = torch.from_numpy(np.cumsum(weights, dtype=np.float64) / np.sum(weights, dtype=np.float64))

    def order(seed: int, epoch: int) -> Int[Tensor, "n"]:
        draws = uniform(seed, "order", epoch, torch.arange(len(edges))).double()
        return torch.searchsorted(edges, draws, right=True).clamp(max=len(edges) - 1)

    return order


def pairs(identity: Int[np.ndarray, "n"]) -> Order:
    """Places 2i and 2i+1 are a pair: about half of them show the same identity, the rest anybody."""
    groups = [torch.from_numpy(np.flatnonzero(identity == g)) for g in np.unique(identity)]
    group_of = {int(place): members for members in groups for place in members}
    n = len(identity)

    def order(seed: int, epoch: int) -> Int[Tensor, "n"]:
        first = permutation(n, seed, "order", epoch)[: (n + 1) // 2]
        number = torch.arange(len(first))
        same = uniform(seed, "pair-same", epoch, number) < 0.5
        other = integers(n, seed, "pair-other", epoch, number)
        kin = torch.stack(
            [group_of[int(p)][int(integers(len(group_of[int(p)]), seed, "pair-kin", epoch, int(i)))]
             for i, p in enumerate(first)]
        )  # fmt: skip
        second = torch.where(same, kin, other)
        return torch.stack([first, second], dim=1).flatten()[:n]  # (m, 2) → (2m,)

    return order


def alternating(index: Int[np.ndarray, "n"]) -> Order:
    """Places 2i and 2i + 1 are of two classes, each in a new order every epoch; the smaller class comes round again."""
    sides = [torch.from_numpy(np.flatnonzero(index == c)) for c in np.unique(index)]
    longest = max(map(len, sides))

    def order(seed: int, epoch: int) -> Int[Tensor, "n"]:
        columns = []
        for number, side in enumerate(sides):
            rounds = [
                side[permutation(len(side), seed, "order of a side", epoch, number, again)]
                for again in range(-(-longest // len(side)))
            ]
            columns.append(torch.cat(rounds)[:longest])
        return torch.stack(columns, dim=1).flatten()  # (m, 2) → (2m,)

    return order


def by_identity(identity: Int[np.ndarray, "n"], images: int) -> Order:
    """Groups of `images` samples of one identity, the g-th of the endless stream a function of (seed, g): so a batch whose size
    is a multiple of `images` holds whole groups, wherever an epoch ends. Identities take turns, in a new order each round, so
    all come equally often. An identity with fewer images comes with each of them again; samples of unknown identity (-1)
    do not come."""
    members = [torch.from_numpy(np.flatnonzero(identity == g)) for g in np.unique(identity[identity >= 0])]
    n = len(identity)

    def order(seed: int, epoch: int) -> Int[Tensor, "n"]:
        first, last = epoch * n // images, (epoch * n + n - 1) // images
        rounds: dict[int, list[int]] = {}
        groups = []
        for g in range(first, last + 1):
            turn, place = divmod(g, len(members))
            if turn not in rounds:
                rounds[turn] = permutation(len(members), seed, "identities", turn).tolist()
            own = members[rounds[turn][place]]
            drawn = permutation(len(own), seed, "images of an identity", g)
            groups.append(own[drawn[torch.arange(images) % len(own)]])
        start = epoch * n - first * images
        return torch.cat(groups)[start : start + n]

    return order
