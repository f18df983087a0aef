"""The non-finite guard: a turn whose loss or gradient is NaN or infinite moves nothing.

On a CPU the host reads the flag at once. On an accelerator, reading it at once would stop the host until the device has
finished everything that is queued, and the device would then idle until the host has queued the next turn. So the turn
is decided on the device: fused optimisers take the flag as `found_inf` and mask their own update, `torch.where` restores
the batch statistics, and the host reads the flag one turn later, when the copy has long arrived. For optimisers that
cannot mask their update, the host waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from sightline.errors import DivergedError


@dataclass(frozen=True)
class SkippedTurn:
    """A turn that moved nothing: its step, its name, and the samples (rows of the data manifest) in it."""

    step: int
    turn: str
    samples: Int[Tensor, "n"]


class HostFlag:
    """A boolean of the device on its way to the host. Reading it waits for this copy, not for work that was queued since."""

    def __init__(self, good: Bool[Tensor, ""]) -> None:
        self._good = good.to("cpu", non_blocking=True)
        self._arrived = torch.cuda.Event() if good.is_cuda else None
        if self._arrived is not None:
            self._arrived.record()

    def __bool__(self) -> bool:
        if self._arrived is not None:
            self._arrived.synchronize()
        return bool(self._good)


@dataclass
class Guard:
    """Decides about each turn and counts the skipped ones.

    patience  skipped turns in a row that end the training
    in_a_row  skipped turns since the last good one
    moved     whether an optimiser has started to move since the last `settle`
    """

    module: nn.Module
    patience: int = 10
    in_a_row: int = 0
    moved: bool = False
    skipped: list[SkippedTurn] = field(default_factory=list)
    _waiting: list[tuple[HostFlag, SkippedTurn]] = field(default_factory=list)
    _before: Tensor | None = None

    def __post_init__(self) -> None:
        self._buffers = [b for b in self.module.buffers() if b.is_floating_point()]

    def begin(self) -> Float[Tensor, "n"]:
        """A copy of the batch statistics before a turn. The forward pass updates them before anyone can know that its
        numbers are bad; a single NaN in a running mean would make every later prediction NaN."""
        self._before = self.statistics()
        return self._before

    def undo(self) -> None:
        """Restore what `begin` copied, unless an optimiser has moved since."""
        if self._before is not None and not self.moved:
            self.restore(self._before)

    def settle(self) -> None:
        """The step and its actions are complete."""
        self.moved, self._before = False, None

    @contextmanager
    def keeping_statistics(self) -> Iterator[None]:
        """Within the context forward passes may move the batch statistics; afterwards they are what they were."""
        before = self.statistics()
        yield
        self.restore(before)

    def statistics(self) -> Float[Tensor, "n"]:
        """A copy of all floating-point buffers in one vector: one kernel to restore them, however many norms there are."""
        return torch.cat([b.flatten() for b in self._buffers]) if self._buffers else torch.empty(0)

    def decide(
        self,
        good: Bool[Tensor, ""],
        optimizer: torch.optim.Optimizer,
        before: Float[Tensor, "n"],
        turn: SkippedTurn,
    ) -> None:
        """Step the optimiser if `good`, else restore the statistics. Raises DivergedError after `patience` skips in a row."""
        try:
            self.drain()  # the previous turn's flag, while the device is busy with this turn
        except DivergedError:
            self.restore(before)  # this turn is not going to be taken either
            raise
        if _decides_on_host(good, optimizer):
            if bool(good):
                self.moved = True
                optimizer.step()
            else:
                self.restore(before)
            self._note(bool(good), turn)
            return
        self.mask(good, optimizer, before)
        self._waiting.append((HostFlag(good), turn))

    def mask(self, good: Bool[Tensor, ""], optimizer: torch.optim.Optimizer, before: Float[Tensor, "n"]) -> None:
        """The same decision on the device: a step that moves nothing unless `good`, and either the new statistics or the
        old ones. With `found_inf`, fused kernels also leave their moments and step counts as they were."""
        bare: Any = _bare(optimizer)
        bare.grad_scale, bare.found_inf = None, (~good).float()
        self.moved = True
        optimizer.step()
        if self._buffers:
            self.restore(torch.where(good, self.statistics(), before))

    def drain(self) -> None:
        """Read the flags that are still on their way."""
        waiting, self._waiting = self._waiting, []
        for good, turn in waiting:
            self._note(bool(good), turn)

    def restore(self, statistics: Float[Tensor, "n"]) -> None:
        """Restore what `statistics` returned."""
        if self._buffers:
            parts = statistics.split([b.numel() for b in self._buffers])
            torch._foreach_copy_(self._buffers, [p.view(b.shape) for p, b in zip(parts, self._buffers, strict=True)])

    def _note(self, good: bool, turn: SkippedTurn) -> None:
        if good:
            self.in_a_row = 0
            return
        self.in_a_row += 1
        self.skipped.append(turn)
        if self.in_a_row >= self.patience:
            raise DivergedError(
                f"loss or gradient was not finite {self.in_a_row} times in a row, last at step {turn.step}, turn "
                f"{turn.turn!r}, samples {turn.samples[:8].tolist()}",
                "lower optim.lr, set fit.clip=1, or check these samples",
            )


def _decides_on_host(good: Bool[Tensor, ""], optimizer: torch.optim.Optimizer) -> bool:
    """On a CPU there is nothing to overlap, and not every optimiser can mask its own step."""
    return good.device.type == "cpu" or not _masks_itself(_bare(optimizer))


def _bare(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Torch's own optimiser. Fabric's wrapper forwards reading an attribute but not setting one, so `found_inf` would stay
    on the wrapper, where the fused kernel does not look."""
    bare: torch.optim.Optimizer = getattr(optimizer, "optimizer", optimizer)
    return bare


def _masks_itself(optimizer: torch.optim.Optimizer) -> bool:
    """Fused optimisers skip their update on the device where `found_inf` is set (the protocol of torch.amp.GradScaler).

    The first step with momentum is an exception: the optimiser allocates an uninitialised buffer for the kernel to fill,
    and a skipped kernel fills nothing, so the next step would read garbage.
    """
    groups = optimizer.param_groups
    return all(g.get("fused") for g in groups) and bool(optimizer.state or not any(g.get("momentum") for g in groups))
