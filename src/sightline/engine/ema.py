"""Averages of the weights over the steps. Where one is on, it is what is validated and kept.

Ema    exponential: each step's weights count less by a factor than the next one's (Polyak & Juditsky 1992)
Swa    stochastic weight averaging: the last steps of a training count alike (Izmailov et al. 2018, arXiv:1803.05407)

The decay is a pure function of the step, so resuming needs no counter. It starts small, so that the random initial
weights are forgotten: with a constant 0.999 they would still have a share of 0.37 after 1,000 steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm


def decay_at(step: int, decay: float) -> float:
    """min(decay, (1 + step) / (10 + step))."""
    return min(decay, (1.0 + step) / (10.0 + step))


def coefficients(beta: float, t: int) -> list[float]:
    """Weights (1-β)β^k of the last t values, newest first; they sum to 1 - β^t, the bias that a correction divides by."""
    return [(1.0 - beta) * beta**k for k in range(t)]


def horizon(beta: float) -> float:
    """About how many values an average with β remembers: 1 / (1 - β), the age at which a value's weight has fallen to ~1/e."""
    return 1.0 / (1.0 - beta)


class Ema:
    """Averages every floating-point parameter and buffer of `module`, batch statistics included: they belong to the averaged
    weights, not to the live ones. Integer buffers (counters) keep their live values, and so do the singular vectors of a
    spectral norm: the mean of vectors that turn is short, and the norm that it gives far too small."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        state = module.state_dict(keep_vars=True)
        turning = _singular_vectors(module)
        kept = {n: t.detach() for n, t in state.items() if t.is_floating_point() and n not in turning}
        self._names, self._live = list(kept), list(kept.values())
        self._average = [t.clone(memory_format=torch.preserve_format) for t in self._live]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average towards the live weights after optimiser step `step` (counted from 0)."""
        torch._foreach_lerp_(self._average, self._live, self.share(step))

    def share(self, step: int) -> float:
        """How far the average moves towards the live weights after this step."""
        return 1.0 - decay_at(step, self.decay)

    def tensors(self) -> dict[str, Tensor]:
        return dict(zip(self._names, self._average, strict=True))

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        for name, average in zip(self._names, self._average, strict=True):
            average.copy_(tensors[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the context the module has the averaged weights; afterwards its own again, bit for bit."""
        with torch.no_grad():
            own = [t.clone(memory_format=torch.preserve_format) for t in self._live]
            torch._foreach_copy_(self._live, self._average)
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self._live, own)


class Swa(Ema):
    """The mean of the weights after every step from `start` on; before it, the live weights.

    The rate should stay high while weights are averaged, or there is nothing to average: use a constant schedule, or one with a
    floor. Batch statistics are averaged as well, as by `torch.optim.swa_utils.AveragedModel(use_buffers=True)`.
    """

    def __init__(self, module: nn.Module, start: int) -> None:
        super().__init__(module, 0.0)
        self.start = start

    def share(self, step: int) -> float:
        return 1.0 / (1 + max(step - self.start, 0))


def _singular_vectors(module: nn.Module) -> set[str]:
    """The names of the buffers of all spectral norms."""
    norms = [(name, part) for name, part in module.named_modules() if isinstance(part, _SpectralNorm)]
    return {f"{name}.{key}" for name, part in norms for key, _ in part.named_buffers(recurse=False)}
