"""Numbers of the lecture about the first networks, computed by the product. `classics.json` holds the rows as given."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sightline.models.create import create_model
from sightline.models.describe import describe
from tests.golden.rows import Golden

torch.set_num_threads(1)
golden = Golden("classics")
Inputs = dict[str, Any]


@pytest.mark.parametrize("identifier", golden.rows)
def test_row(identifier: str) -> None:
    golden.check(identifier)


def test_every_row_is_computed() -> None:
    assert golden.computed.keys() == golden.rows.keys()


def set_to(layer: nn.Linear, weight: Any, bias: Any) -> None:
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight, dtype=torch.float64))
        layer.bias.copy_(torch.tensor(bias, dtype=torch.float64))


@golden("mark1-pixels")
def _(inputs: Inputs):
    """A linear threshold unit on its photocells."""
    return create_model("linear", in_channels=1, image_size=tuple(inputs["grid"]), num_classes=1).channels[0]


@golden("lecun1989-units")
def _(inputs: Inputs):
    table = describe("lenet_1989")
    outputs = {row["name"]: math.prod(row["output"]) for row in table["layers"]}
    units = {"inp": math.prod(create_model("lenet_1989").input_size)}
    units |= {"H1": outputs["h1(own)"], "H2": outputs["h2(own)"], "H3": outputs["h3"], "out": outputs["fc"]}
    return units | {"total": sum(units.values())}


# ---------------------------------------------------------------------------------------------------------------- XOR
@golden("xor")
def _(inputs: Inputs):
    """Best over all linear threshold units, not over some: those below part four points in all the ways that lines can.

    Cover 1965: n points of the plane, no three in a line, can be parted in 2 (1 + (n - 1) + (n - 1)(n - 2) / 2) ways.
    """
    x, truth = torch.tensor(inputs["X"]).float()[:, :, None, None], torch.tensor(inputs["y"]) > 0
    linear = create_model("linear", in_channels=2, image_size=(1, 1), num_classes=1)
    answers = set()
    for w1, w2, bias in product((-1.0, 0.0, 1.0), (-1.0, 0.0, 1.0), (-1.5, -0.5, 0.5, 1.5)):
        set_to(linear.fc, [[w1, w2]], [bias])
        answers.add(tuple((linear(x)[:, 0] > 0).tolist()))
    assert len(answers) == 2 * (1 + 3 + 3)

    deep = create_model("mlp", in_channels=2, image_size=(1, 1), hidden=(2,), activation="relu", num_classes=1)
    set_to(deep.hidden[0][0], inputs["mlp"]["W1"], inputs["mlp"]["b1"])
    set_to(deep.fc, [inputs["mlp"]["w2"]], [0])

    def accuracy(answer: Tensor) -> float:
        return (answer == truth).float().mean().item()

    return {
        "best_linear": max(accuracy(torch.tensor(answer)) for answer in answers),
        "relu_mlp": accuracy(deep(x)[:, 0] > 0.5),
    }


# ----------------------------------------------------------------------------------------------- what depth and width do
@golden("uat-sine")
def _(inputs: Inputs):
    """Trained, all its weights, on 200 points; judged between them."""
    network = create_model("mlp", image_size=(1, 1), hidden=(inputs["m1"],), activation=inputs["phi"], num_classes=1)
    network = network.double()
    generator = torch.Generator().manual_seed(0)
    nn.init.uniform_(network.hidden[0][0].weight, -4, 4, generator=generator)  # bends all along the interval
    nn.init.uniform_(network.hidden[0][0].bias, -4, 4, generator=generator)

    def error(points: int) -> Tensor:
        x = torch.linspace(-math.pi, math.pi, points, dtype=torch.float64)
        return network(x[:, None, None, None])[:, 0] - x.sin()

    optimiser = torch.optim.LBFGS(network.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = error(200).square().mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    with torch.no_grad():
        return error(2001).abs().max().item() < inputs["eps"]


@golden("vanish-explode")
def _(inputs: Inputs):
    """What comes back to the pixel through n layers of one unit, each with the weight `factor`."""
    gradients = []
    for factor in inputs["factors"]:
        options = {"hidden": (1,) * (inputs["n"] - 1), "activation": "identity", "num_classes": 1}
        network = create_model("mlp", image_size=(1, 1), **options).double()
        for layer in network.modules():
            if isinstance(layer, nn.Linear):
                set_to(layer, [[factor]], [0.0])
        x = torch.ones(1, 1, 1, 1, dtype=torch.float64, requires_grad=True)
        (gradient,) = torch.autograd.grad(network(x).sum(), x)
        gradients.append(gradient.item())
    return gradients
