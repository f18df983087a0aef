"""Activations, gradients and updates of every layer, sampled on a few steps. Measuring reads and never writes: weights are
bit for bit those of a training without it, and a resumed run measures the steps that an uninterrupted one does.

Of a layer with weights (convolution or dense) on a sampled step, from at most 32 images of its first micro-batch:

    mean, deviation   of what goes into it: the activations of the layer before
    dead              share of the units among these that are exactly 0 for every image and place (ReLUs that are shut)
    gradient          Euclidean norm of the weights' gradient, after clipping
    ratio             ‖w after − w before‖ / ‖w before‖ of the weights, the update-to-weight ratio; about 1e-3 is usual

The first layer's inputs are the images, so it has no `dead`. A unit is a channel of a map, or an element of a vector or token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

IMAGES = 32
SAMPLES = 50  # in a training, about
LEAST_PERIOD = 20  # steps from one to the next, so that the work stays below 2 %
_WEIGHTED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def period(steps: int) -> int:
    """Every how many steps layers are sampled in a training of so many."""
    return max(LEAST_PERIOD, steps // SAMPLES)


@dataclass
class LayerHealth:
    """The sampled steps of one training. `prepare(step)` before the step after `step`; `record(step)` after it.

    layers  by name, in the order of the networks
    every   steps from one sample to the next; the last of `steps` is sampled too
    """

    layers: Mapping[str, nn.Module]
    steps: int
    every: int = 0
    _handles: list[RemovableHandle] = field(default_factory=list)
    _inputs: dict[str, dict[str, float]] = field(default_factory=dict)
    _before: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.every = self.every or period(self.steps)

    def due(self, step: int) -> bool:
        """Whether the step with this number, counted from 1, is sampled."""
        return step % self.every == 0 or step == self.steps

    def prepare(self, step: int) -> None:
        """Get ready for the step after `step`, if it is sampled."""
        if self._before or not self.due(step + 1):
            return
        first = next(iter(self.layers), "")
        for name, layer in self.layers.items():
            self._before[name] = _weight(layer).detach().clone()
            self._handles.append(layer.register_forward_pre_hook(self._reading(name, dead=name != first)))

    def record(self, step: int) -> dict[str, Any] | None:
        """The sample of the step just taken, ready for JSON; None if it was not sampled."""
        if not self._before:
            return None
        layers = {}
        for name, layer in self.layers.items():
            weight, before = _weight(layer).detach(), self._before[name]
            norm = float(before.float().norm())
            # a weight that is assembled from other parameters has no gradient of its own
            gradient = _weight(layer).grad if _weight(layer).is_leaf else None
            layers[name] = {
                **self._inputs.get(name, {}),
                "gradient": None if gradient is None else _finite(float(gradient.detach().float().norm())),
                "ratio": _finite(float((weight - before).float().norm()) / norm) if norm > 0 else None,
            }
        self.forget()
        return {"step": step, "layers": layers}

    def forget(self) -> None:
        """Drop what was prepared, and the hooks."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._inputs.clear()
        self._before.clear()

    def _reading(self, name: str, *, dead: bool) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def read(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
            if name not in self._inputs and inputs and isinstance(inputs[0], Tensor):
                self._inputs[name] = activations(layer, inputs[0], dead=dead)

        return read


@torch.no_grad()
def activations(layer: nn.Module, value: Tensor, *, dead: bool) -> dict[str, Any]:
    """Mean, deviation and share of dead units of what goes into a layer: (b, c, h, w) of a convolution, (…, d) of a dense
    one."""
    value = value[:IMAGES].detach().float()
    axis = value.ndim - 1 if isinstance(layer, nn.Linear) else 1
    deviation, mean = torch.std_mean(value)
    found: dict[str, Any] = {"mean": _finite(float(mean)), "deviation": _finite(float(deviation))}
    if dead:
        others = [i for i in range(value.ndim) if i != axis]
        found["dead"] = float((value.abs().amax(others) == 0).float().mean())
    return found


def weighted_layers(networks: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """The layers with weights that learn, by their names in the network, with the network's name in front where there are
    several. A layer that occurs twice counts once."""
    found: dict[str, nn.Module] = {}
    for key, network in networks.items():
        for name, layer in network.named_modules():
            if isinstance(layer, _WEIGHTED) and layer.weight.requires_grad:
                found[name if len(networks) == 1 else f"{key}.{name}"] = layer
    return found


def _weight(layer: nn.Module) -> Tensor:
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight


def _finite(value: float) -> float | None:
    return value if value == value and abs(value) != float("inf") else None
