"""The endless stream of training samples, and the micro-batches that a rank takes from it.

Position p belongs to epoch p // n, where the sample is order(seed, epoch)[p mod n]. Batches straddle epochs, so all have
the same size, and the k-th micro-batch is a function of k: the step is the cursor, and workers and prefetching change nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Int
from torch import Tensor

from sightline.structures.batch import Batch

from .orders import Order

Load = Callable[[Int[Tensor, "b"], Int[Tensor, "b"]], Batch]  # (places among the training samples, positions) → batch


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

    def positions(self, k: int) -> Int[Tensor, "b"]:
        """Places in the stream of this rank's k-th micro-batch."""
        return (k * self.ranks + self.rank) * self.micro + torch.arange(self.micro)

    def batch(self, k: int) -> Batch:
        positions = self.positions(k)
        return self.load(self._places(positions), positions)

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
        first, last = int(epochs[0]), int(epochs[-1])
        orders = torch.stack([_epoch(self.order, self.seed, e) for e in range(first, last + 1)])  # (epochs, n)
        return orders[epochs - first, positions % self.n]


@lru_cache(maxsize=8)
def _epoch(order: Order, seed: int, epoch: int) -> Int[Tensor, "n"]:
    return order(seed, epoch)
