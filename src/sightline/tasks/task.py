"""What a network is being asked to do: the loss that trains it, the prediction it gives, how both are judged.

A task owns its networks and knows nothing of devices, steps or files; the engine knows those and nothing of losses.
Tasks do not inherit from each other: each is one final class below this contract.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from sightline.structures.batch import Batch
from sightline.structures.predictions import Prediction


@dataclass(frozen=True)
class Loss:
    """The number to descend.

    `total` is a mean over `weight` terms, so that Σ w·L / Σ w over micro-batches and ranks is exactly the loss of the
    whole batch. Terms that nothing is known about count neither above nor below; with weight 0, total is 0.
    `parts` are what a person wants to see of it, detached: means over the same weight, or (mean, weight) over another, as
    an accuracy is where classes weigh unequally.
    """

    total: Float[Tensor, ""]
    weight: Float[Tensor, ""]
    parts: Mapping[str, Tensor | tuple[Tensor, Tensor]] = field(default_factory=dict)


@dataclass(frozen=True)
class Turn:
    """A move within one step: the children named in `learns` take one optimiser step on micro-batches of their own."""

    name: str
    learns: tuple[str, ...]


class Task(nn.Module):
    """Owns networks; every child module is one. Children that no turn learns are frozen teachers and stay in eval."""

    turns: tuple[Turn, ...] = (Turn("model", ("model",)),)
    coupled = False  # True where the loss ties the samples of a batch together: accumulation would change it

    @abstractmethod
    def loss(self, batch: Batch, turn: str) -> Loss:
        """The loss of one micro-batch in the turn of that name. Calls networks as `self.name(...)` only."""

    @abstractmethod
    def predict(self, batch: Batch) -> Prediction:
        """What the task's networks say about the batch."""

    @abstractmethod
    def rows(self, batch: Batch, prediction: Prediction) -> Any:
        """What remains of a batch on the host: one row a sample."""

    @abstractmethod
    def metrics(self, rows: Any) -> dict[str, float | None]:
        """Every metric, as a pure function of rows; undefined is None."""

    def learned(self) -> tuple[str, ...]:
        """The children that some turn learns, in order of first mention."""
        return tuple(dict.fromkeys(name for turn in self.turns for name in turn.learns))

    def train(self, mode: bool = True) -> Task:
        super().train(mode)
        for name, child in self.named_children():
            if name not in self.learned():
                child.eval()
        return self
