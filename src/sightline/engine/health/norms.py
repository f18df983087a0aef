"""Batch norm's gap: what a network does with the statistics of a batch, beside what it does with its running ones.

While it trains, a batch norm divides by the statistics of the batch; afterwards by running means. Where the two disagree, as
after few steps, with small batches, or with a momentum that is too slow, the network that is used is not the one that was
trained.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sightline.structures.batch import Batch


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    """The batch norms that keep running statistics."""
    return [m for m in network.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]


@contextmanager
def with_batch_statistics(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    """Within the context the norms use the statistics of each batch, and afterwards have their buffers and mode of before."""
    kept = [({name: b.clone() for name, b in norm.named_buffers()}, norm.training, norm.momentum) for norm in norms]
    try:
        for norm in norms:
            norm.train()
        yield
    finally:
        for norm, (buffers, training, momentum) in zip(norms, kept, strict=True):
            norm.train(training)
            norm.momentum = momentum
            for name, buffer in norm.named_buffers():
                buffer.copy_(buffers[name])


def training_norms(batches: Iterable[Batch], norms: Sequence[_BatchNorm]) -> Iterator[Batch]:
    """The same batches, each predicted with the norms in training mode: what predicts has just set them to evaluation."""
    for batch in batches:
        for norm in norms:
            norm.train()
        yield batch
