"""Gradients vanish or explode layer by layer.

How large is the gradient in each of twenty layers before the first step, with sigmoid and with ReLU, from a
start that is too large or too small, and with residual connections?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.datasets import Labelled, digits
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.layers.activations import activation
from sightline.layers.initialise import initialiser


@dataclass(frozen=True)
class Parameters:
    layers: Annotated[int, Field(ge=2, le=60)] = 20
    units: Annotated[int, Field(ge=8, le=300)] = 64


class Tower(nn.Module):
    """Equal dense layers; with `residual` each adds to its input."""

    def __init__(
        self, layers: int, units: int, *, kind: str, start: str, gain: float = 1.0, residual: bool = False
    ) -> None:
        super().__init__()
        self.layers: Any = nn.ModuleList(nn.Linear(units, units) for _ in range(layers))
        self.entry = nn.Linear(64, units)
        self.head = nn.Linear(units, 10)
        self.residual = residual
        self.activation: Any = activation(kind)
        for layer in (self.entry, *self.layers, self.head):
            initialiser(start)(layer.weight)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            for parameter in self.layers.parameters():  # the biases are 0
                parameter.mul_(gain)

    def forward(self, x: Tensor) -> Tensor:
        """(b, 1, 8, 8) → (b, 10)."""
        x = self.entry(x.flatten(1))
        for layer in self.layers:
            y = self.activation(layer(x))
            x = x + y / len(self.layers) ** 0.5 if self.residual else y
        return self.head(x)


def norms(tower: Tower, data: Labelled) -> list[float]:
    """The gradient's norm with respect to the weights of each layer, first to last."""
    F.cross_entropy(tower(data.x), data.y).backward()  # type: ignore[no-untyped-call]
    return [layer.weight.grad.norm().item() for layer in tower.layers]


def run(parameters: Parameters, seed: int) -> Result:
    train, _ = digits()
    data = Labelled(train.x[:256], train.y[:256])
    settings = {
        "sigmoid": {"kind": "sigmoid", "start": "xavier"},
        "ReLU": {"kind": "relu", "start": "he"},
        "doubled": {"kind": "relu", "start": "he", "gain": 2.0},
        "small": {"kind": "relu", "start": "normal"},
        "small, residual": {"kind": "relu", "start": "normal", "residual": True},
    }
    found = {}
    for name, options in settings.items():
        torch.manual_seed(seed)
        found[name] = norms(Tower(parameters.layers, parameters.units, **options), data)  # type: ignore[arg-type]
    ratio = {name: found[name][0] / found[name][-1] for name in ("sigmoid", "ReLU")}
    depth = list(range(1, parameters.layers + 1))
    lines = [
        Line(n, depth, v, tone)
        for (n, v), tone in zip(found.items(), ("one", "two", "three", "four", "five"), strict=True)
    ]
    passed = found["small, residual"][0] / max(found["small"][0], 1e-300)
    scale = found["doubled"][0] / found["ReLU"][0]
    return Result(
        claims=[
            Claim("With sigmoids the gradient vanishes towards the first layer.", ratio["sigmoid"] < 1e-6,
                  f"first / last = {ratio['sigmoid']:.0e}"),
            Claim("With ReLU and He's start it neither vanishes nor explodes.", 0.1 < ratio["ReLU"] < 10,
                  f"first / last = {ratio['ReLU']:.2f}"),
            Claim("From weights far too small nothing arrives, unless residual connections carry it.", passed > 1e6,
                  f"first layer: {found['small'][0]:.0e} plain, {found['small, residual'][0]:.0e} residual"),
            Claim("Weights twice as large make it explode.", scale > 1e3, f"{scale:.0e} times as large"),
        ],
        numbers={f"gradient, first / last layer: {name}": value for name, value in ratio.items()},
        pictures=[
            Picture(line_chart(lines, Frame("Gradient norms", "By layer", "layer", "norm", log_y=True)),
                    "Norm of the loss's gradient in each layer before the first step, logarithmic.")
        ],
        tables=[Table(("layer", *found),
        [(str(i + 1), *(v[i] for v in found.values())) for i in range(0, parameters.layers, 4)])],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "The gradient of the first layer is a product of one Jacobian for each layer above. Its factors are at most ¼ · ‖W‖ "
        "with sigmoids and about 1 with ReLU and He's start.",
        "A residual layer's Jacobian is the identity plus something small: a product of such matrices cannot vanish.",
        "The last curve has gradients of astronomic size: the usual remedy is clipping, the right one is the start.",
    ),
    formulas=(
        Formula("∂L/∂x⁰ = ∂L/∂xᴸ · ∏ₗ ∂xˡ⁺¹/∂xˡ", "Hochreiter 1991; Bengio, Simard and Frasconi 1994"),
        Formula("xˡ⁺¹ = xˡ + F(xˡ)  ⇒  ∂xˡ⁺¹/∂xˡ = I + ∂F/∂xˡ", "He et al. 2016, arXiv:1603.05027"),
    ),
    code=(Tower, norms),
    variations=(Variation("layers=5", "Five layers of sigmoids are still trainable."),),
)
