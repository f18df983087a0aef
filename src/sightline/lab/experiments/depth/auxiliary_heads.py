"""Auxiliary heads bring gradient to early layers.

How much larger is the gradient in GoogLeNet's early layers when its two auxiliary heads take part in the loss?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.models.create import create_model
from sightline.models.early.googlenet import GoogLeNet

_PARTS = ("conv1", "conv3", "inception3a", "inception3b", "inception4a", "inception4d", "inception4e", "inception5b")


@dataclass(frozen=True)
class Parameters:
    images: Annotated[int, Field(ge=2, le=32)] = 8
    weight: Annotated[float, Field(ge=0, le=10)] = 0.3


def gradients(model: nn.Module, x: Tensor, y: Tensor, weight: float) -> dict[str, float]:
    """Norm of the loss's gradient in each part; the auxiliary losses count `weight` times."""
    model.zero_grad()
    torch.manual_seed(0)  # the same dropout for every weight
    out: Any = model(x)
    loss = F.cross_entropy(out.scores, y) + weight * (F.cross_entropy(out.aux1, y) + F.cross_entropy(out.aux2, y))
    loss.backward()  # type: ignore[no-untyped-call]
    return {
        name: torch.cat([p.grad.flatten() for p in model.get_submodule(name).parameters() if p.grad is not None])
        .norm()
        .item()
        for name in _PARTS
    }


def run(parameters: Parameters, seed: int) -> Result:
    model = create_model("googlenet_paper", num_classes=10, small_images=True, seed=seed).train()
    x = torch.randn(parameters.images, 3, 64, 64)
    y = torch.randint(0, 10, (parameters.images,))
    without, with_heads = (gradients(model, x, y, weight) for weight in (0.0, parameters.weight))
    ratio = {name: with_heads[name] / without[name] for name in _PARTS}
    early, late = ratio["inception3a"], ratio["inception5b"]
    index = list(range(1, len(_PARTS) + 1))
    lines = [
        Line("main head", index, list(without.values()), "two"),
        Line("with both", index, list(with_heads.values()), "one"),
    ]
    return Result(
        claims=[
            Claim("Below the auxiliary heads the gradient becomes larger.", early > 1.05, f"{early:.2f} times as large in 3a"),
            Claim("Behind them nothing changes.", abs(late - 1) < 1e-4, f"{late:.4f} times in 5b"),
        ],
        numbers={f"gradient, with / without: {name}": value for name, value in ratio.items()},
        pictures=[Picture(line_chart(lines, Frame("Gradient norms", "By part", "part", "norm", log_y=True)),
                          "Norm of the gradient from the first convolution to the last module, before training.")],
        tables=[Table(("part", "main head alone", "with auxiliary heads", "ratio"),
                      [(n, without[n], with_heads[n], ratio[n]) for n in _PARTS])],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "The heads stand on modules 4a and 4d, are weighted by 0.3, and are thrown away after training.",
        "With He's start and batch norm the early gradient does not vanish in the first place, and the heads act more as a "
        "regulariser (Szegedy et al. 2015, arXiv:1512.00567, section 4).",
    ),
    formulas=(Formula("L = L_main + 0.3 (L_aux1 + L_aux2)", "Szegedy et al. 2014, arXiv:1409.4842, section 5"),),
    code=(gradients, GoogLeNet),
    variations=(Variation("weight=3", "Ten times the weight: the early layers now serve the auxiliary heads."),),
)
