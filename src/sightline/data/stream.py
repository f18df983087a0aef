"""The endless stream of training samples, and the micro-batches that a rank takes from it.

Position p belongs to epoch p // n, where the sample is order(seed, epoch)[p mod n]. Batches straddle epochs, so all have
the same size, and the k-th micro-batch is a function of k: the step is the cursor, and workers and prefetching change nothing.

A sample may bring partners, of which augmentation makes one sample. They are others of its epoch, drawn with its position as
the key, so they come from the same training samples in the same proportions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from sightline.randomness.keyed import integers, keys
from sightline.structures.batch import Batch, Partners

from .orders import Order

Load = Callable[[Int[Tensor, "b"], Int[Tensor, "b"]], Batch]  # (places among the training samples, positions) → batch
Invite = Callable[[Int[Tensor, "b"]], Mapping[str, Bool[Tensor, "b"]]]  # positions → by partner, which samples have it


@dataclass(frozen=True)
class Stream:
    """`feed(k)` yields this rank's micro-batches from its k-th on. `workers` threads load ahead; the decoder and the
    resampler release Python's lock, so threads do what worker processes would without copying or /dev/shm."""

    load: Load
    order: Order
    n: int
    micro: int
    seed: int
    rank: int = 0
    ranks: int = 1
    workers: int = 0
    invite: Invite = lambda positions: {}

    def positions(self, k: int) -> Int[Tensor, "b"]:
        """Places in the stream of this rank's k-th micro-batch."""
        return (k * self.ranks + self.rank) * self.micro + torch.arange(self.micro)

    def batch(self, k: int) -> Batch:
        positions = self.positions(k)
        batch = self.load(self._places(positions), positions)
        invited = {name: which.nonzero()[:, 0] for name, which in self.invite(positions).items()}
        partners = {name: self._partners(name, positions, owner) for name, owner in invited.items() if len(owner)}
        return replace(batch, partners=partners) if partners else batch

    def _partners(self, name: str, positions: Int[Tensor, "b"], owner: Int[Tensor, "m"]) -> Partners:
        """The partners of that name for the samples `owner`: never the sample itself, as long as there are others."""
        mine, purpose = positions[owner], f"partner/{name}"
        further = 1 + integers(max(self.n - 1, 1), self.seed, purpose, mine)
        others = mine - mine % self.n + (mine + further) % self.n
        return Partners(self.load(self._places(others), keys(self.seed, f"{purpose}/position", mine)), owner)

    def feed(self, start: int) -> Iterator[Batch]:
        if self.workers == 0:
            k = start
            while True:
                yield self.batch(k)
                k += 1
        with ThreadPoolExecutor(self.workers, "sightline-data") as pool:
            ahead: deque[Future[Batch]] = deque()
            k = start
            try:
                while True:
                    while len(ahead) < 2 * self.workers:
                        ahead.append(pool.submit(self.batch, k))
                        k += 1
                    yield ahead.popleft().result()
            finally:
                for future in ahead:
                    future.cancel()

    def _places(self, positions: Int[Tensor, "b"]) -> Int[Tensor, "b"]:
        epochs = positions // self.n
        first, last = int(epochs.min()), int(epochs.max())
        orders = torch.stack([_epoch(self.order, self.seed, e) for e in range(first, last + 1)])  # (epochs, n)
        return orders[epochs - first, positions % self.n]


@lru_cache(maxsize=8)
def _epoch(order: Order, seed: int, epoch: int) -> Int[Tensor, "n"]:
    return order(seed, epoch)
