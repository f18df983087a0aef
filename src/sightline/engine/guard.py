"""The non-finite guard: a turn whose loss or gradient is NaN or infinite moves nothing.

On a CPU the verdict is read at once. On an accelerator it never waits: fused optimisers take it as `found_inf` and mask
their own update on the device, batch statistics are restored by a `where`, and the host learns of it one turn later.
Optimisers without such a mask are asked synchronously.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from sightline.errors import DivergedError


@dataclass(frozen=True)
class Skipped:
    """A turn that was not taken: where, and which samples (rows of the data manifest) were in it."""

    step: int
    turn: str
    samples: Int[Tensor, "n"]


class Verdict:
    """Whether a turn was good, on its way to the host: asking waits for that copy alone, not for what was queued since."""

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
    """Decides each turn, and counts. `patience` skipped turns in a row end the training; `moved`: whether an optimiser began
    to move since the last `settle`."""

    module: nn.Module
    patience: int = 10
    in_a_row: int = 0
    moved: bool = False
    skipped: list[Skipped] = field(default_factory=list)
    _waiting: list[tuple[Verdict, Skipped]] = field(default_factory=list)
    _before: Tensor | None = None

    def __post_init__(self) -> None:
        self._buffers = [b for b in self.module.buffers() if b.is_floating_point()]

    def begin(self) -> Float[Tensor, "n"]:
        """The statistics before a turn: a forward with bad numbers spoils them before anyone can know."""
        self._before = self.statistics()
        return self._before

    def undo(self) -> None:
        """Put back what `begin` saw, unless an optimiser moved since."""
        if self._before is not None and not self.moved:
            self.restore(self._before)

    def settle(self) -> None:
        """A step is over, with all that belongs to it."""
        self.moved, self._before = False, None

    def statistics(self) -> Float[Tensor, "n"]:
        """A copy of all batch statistics, in one vector."""
        return torch.cat([b.flatten() for b in self._buffers]) if self._buffers else torch.empty(0)

    def decide(
        self,
        good: Bool[Tensor, ""],
        optimizer: torch.optim.Optimizer,
        before: Float[Tensor, "n"],
        turn: Skipped,
    ) -> None:
        """Step the optimiser where `good`, else put the statistics back. Raises DivergedError when it is hopeless."""
        try:
            self.drain()  # of the turn before, while the device is busy with this one
        except DivergedError:
            self.restore(before)
            raise
        if _asks(good, optimizer):
            if bool(good):
                self.moved = True
                optimizer.step()
            else:
                self.restore(before)
            self._note(bool(good), turn)
            return
        self.mask(good, optimizer, before)
        self._waiting.append((Verdict(good), turn))

    def mask(self, good: Bool[Tensor, ""], optimizer: torch.optim.Optimizer, before: Float[Tensor, "n"]) -> None:
        """The same decision as arithmetic on the device: a step that moves nothing unless `good`, and statistics that
        are the new ones or the old."""
        bare: Any = _bare(optimizer)
        bare.grad_scale, bare.found_inf = None, (~good).float()
        self.moved = True
        optimizer.step()
        if self._buffers:
            self.restore(torch.where(good, self.statistics(), before))

    def drain(self) -> None:
        """Hear the verdicts that were still on their way."""
        waiting, self._waiting = self._waiting, []
        for good, turn in waiting:
            self._note(bool(good), turn)

    def restore(self, statistics: Float[Tensor, "n"]) -> None:
        """Put back what `statistics` gave."""
        if self._buffers:
            parts = statistics.split([b.numel() for b in self._buffers])
            torch._foreach_copy_(self._buffers, [p.view(b.shape) for p, b in zip(parts, self._buffers, strict=True)])

    def _note(self, good: bool, turn: Skipped) -> None:
        if good:
            self.in_a_row = 0
            return
        self.in_a_row += 1
        self.skipped.append(turn)
        if self.in_a_row >= self.patience:
            raise DivergedError(
                f"loss or gradient was not finite {self.in_a_row} times in a row, last at step {turn.step}, turn "
                f"{turn.turn!r}, samples {turn.samples[:8].tolist()}",
                "lower optim.lr, set fit.clip=1, or look at these samples",
            )


def _asks(good: Bool[Tensor, ""], optimizer: torch.optim.Optimizer) -> bool:
    """Whether the host decides: on a CPU it has nothing better to do, and not every optimiser can mask its own step."""
    return good.device.type == "cpu" or not _masks_itself(_bare(optimizer))


def _bare(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Torch's own: Fabric's wrapper hands attributes out, but not in."""
    bare: torch.optim.Optimizer = getattr(optimizer, "optimizer", optimizer)
    return bare


def _masks_itself(optimizer: torch.optim.Optimizer) -> bool:
    """Fused optimisers skip their update on the device where `found_inf` is set (the protocol of torch.amp). Not the
    first one with momentum, which would keep a buffer that nobody has written."""
    groups = optimizer.param_groups
    return all(g.get("fused") for g in groups) and bool(optimizer.state or not any(g.get("momentum") for g in groups))
