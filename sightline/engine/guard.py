"""The non-finite guard: a turn whose loss or gradient is NaN or infinite moves nothing.

On a CPU the verdict is read at once. On an accelerator it never waits: fused optimisers take it as `found_inf` and mask
their own update on the device, batch statistics are restored by a `where`, and the host learns of it one turn later.
Optimisers without such a mask are asked synchronously.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from sightline.errors import DivergedError


@dataclass(frozen=True)
class Skipped:
    """A turn that was not taken: where, and which samples (rows of the data manifest) were in it."""

    step: int
    turn: str
    samples: Int[Tensor, "n"]


@dataclass
class Guard:
    """Decides each turn, and counts. `patience` skipped turns in a row end the training."""

    module: nn.Module
    patience: int = 10
    in_a_row: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    _waiting: list[tuple[Bool[Tensor, ""], Skipped]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._buffers = [b for b in self.module.buffers() if b.is_floating_point()]

    def remember(self) -> list[Tensor]:
        """The batch statistics before a turn: a forward with bad numbers spoils them before anyone can know."""
        return [b.clone() for b in self._buffers]

    def decide(
        self,
        good: Bool[Tensor, ""],
        optimizer: torch.optim.Optimizer,
        before: Sequence[Tensor],
        turn: Skipped,
    ) -> None:
        """Step the optimiser where `good`, else put the statistics back. Raises DivergedError when it is hopeless."""
        if good.device.type == "cpu" or not _masks_itself(optimizer):
            if bool(good):
                optimizer.step()
            else:
                torch._foreach_copy_(self._buffers, list(before))
            self._note(bool(good), turn)
            return
        optimizer.grad_scale = None  # type: ignore[attr-defined]
        optimizer.found_inf = (~good).float()  # type: ignore[attr-defined]
        optimizer.step()
        for buffer, old in zip(self._buffers, before, strict=True):
            buffer.copy_(torch.where(good, buffer, old))
        self.drain()
        self._waiting.append((good.to("cpu", non_blocking=True), turn))

    def drain(self) -> None:
        """Hear the verdicts that were still on their way."""
        if self._waiting:
            torch.cuda.synchronize() if torch.cuda.is_available() else None
        for good, turn in self._waiting:
            self._note(bool(good), turn)
        self._waiting.clear()

    def _note(self, good: bool, turn: Skipped) -> None:
        if good:
            self.in_a_row = 0
            return
        self.in_a_row += 1
        self.skipped.append(turn)
        if self.in_a_row >= self.patience:
            raise DivergedError(
                f"loss or gradient was not finite {self.in_a_row} times in a row, last at step {turn.step}, turn "
                f"{turn.turn!r}, samples {list(turn.samples[:8])}",
                "lower optim.lr, set fit.clip=1, or look at these samples",
            )


def _masks_itself(optimizer: torch.optim.Optimizer) -> bool:
    """Fused optimisers skip their update on the device where `found_inf` is set (the protocol of torch.amp)."""
    return all(group.get("fused") for group in optimizer.param_groups)
