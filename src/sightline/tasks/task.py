"""The contract of a task: the loss that trains its networks, their predictions, and the metrics of these.

A task owns its networks and knows nothing of devices, steps or files; the engine knows those and nothing of losses.
Tasks do not inherit from each other: each one implements this contract directly.
"""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.structures.batch import Batch
from sightline.structures.predictions import Prediction


@dataclass(frozen=True)
class Loss:
    """The loss of a micro-batch.

    total    a mean over `weight` terms, so that Σ w·L / Σ w over micro-batches and ranks is exactly the loss of the whole
             batch. Unlabelled terms count neither in the sum nor in the weight; with weight 0, total is 0
    parts    detached values to report: means over the same weight, or (mean, weight) with their own, such as an accuracy,
             in which all images weigh the same although the loss weighs classes
    """

    total: Float[Tensor, ""]
    weight: Float[Tensor, ""]
    parts: Mapping[str, Tensor | tuple[Tensor, Tensor]] = field(default_factory=dict)


@dataclass(frozen=True)
class Turn:
    """A part of a step: the networks named in `learns` take one optimiser step on micro-batches of their own."""

    name: str
    learns: tuple[str, ...]


@dataclass(frozen=True)
class Frozen:
    """Parts of networks that keep what they know: `parameters` get no gradient, and `modules` stay in eval mode, so that their
    statistics do not change and nothing in them is dropped."""

    parameters: tuple[nn.Parameter, ...] = ()
    modules: tuple[nn.Module, ...] = ()


class Task(nn.Module):
    """Owns networks: every child module is one. A network that no turn trains is frozen and stays in eval mode, and so do
    the parts of networks in `frozen`."""

    turns: tuple[Turn, ...] = (Turn("model", ("model",)),)
    frozen = Frozen()
    concludes = False  # True if `conclude` fits something to the training images after the last step
    coupled = False  # True if the loss compares the samples of a batch, so that accumulation would change it

    @abstractmethod
    def loss(self, batch: Batch, turn: str) -> Loss:
        """The loss of one micro-batch in the turn of that name. Calls networks as `self.name(...)` only."""

    @abstractmethod
    def predict(self, batch: Batch) -> Prediction:
        """The prediction for the batch."""

    @abstractmethod
    def rows(self, batch: Batch, prediction: Prediction) -> Any:
        """The predictions of a batch on the host: one row per sample."""

    @abstractmethod
    def metrics(self, rows: Any) -> dict[str, float | None]:
        """All metrics as a pure function of rows; None if undefined."""

    def uncached(self) -> contextlib.AbstractContextManager[None]:
        """Within this context a prediction costs what it costs for an image that was never seen: nothing comes from a cache."""
        return contextlib.nullcontext()

    def conclude(self, batches: Iterable[Batch]) -> None:
        """Fit in closed form what gradient descent does not train, into buffers of the networks: a pure function of their
        weights and of the training images, which come once, in order, unchanged."""

    @property
    def device(self) -> torch.device:
        """Where its numbers are; what is solved has buffers only."""
        return next(chain(self.parameters(), self.buffers()), torch.empty(0)).device

    def trained_networks(self) -> tuple[str, ...]:
        """The names of the networks that any turn trains, in the order of the turns."""
        return tuple(dict.fromkeys(name for turn in self.turns for name in turn.learns))

    def train(self, mode: bool = True) -> Task:
        super().train(mode)
        for name, child in self.named_children():
            if name not in self.trained_networks():
                child.eval()
        for module in self.frozen.modules:
            module.eval()
        return self

    def require_gradients(self, turn: Turn) -> None:
        """Let the networks of a turn, and no others, compute gradients for their weights.

        The others still pass gradients on to their inputs (a critic, to the generator), but nobody would use theirs."""
        for name, child in self.named_children():
            child.requires_grad_(name in turn.learns)
        for parameter in self.frozen.parameters:
            parameter.requires_grad_(False)
