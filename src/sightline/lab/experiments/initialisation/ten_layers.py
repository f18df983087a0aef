"""Where weights start decides whether a signal survives ten layers.

How large are the activations of ten dense layers for small random weights, for Xavier's start and for He's, with tanh
and with ReLU?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.layers.initialise import activation_statistics, he, lecun

# (title, start, activation, deviations printed in lecture notes after layers 1 and 10; one draw there)
_SETTINGS = (
    ("0.01 · Gaussian, tanh", "normal", "tanh", 0.213667, 0.0),
    ("variance 1 / in, tanh", "lecun", "tanh", 0.628485, 0.227241),
    ("variance 1 / in, ReLU", "lecun", "relu", 0.582741, 0.025950),
    ("variance 2 / in, ReLU", "he", "relu", 0.826029, 0.874220),
)


@dataclass(frozen=True)
class Parameters:
    width: Annotated[int, Field(ge=10, le=1_000)] = 500
    samples: Annotated[int, Field(ge=10, le=2_000)] = 1000
    layers: Annotated[int, Field(ge=2, le=50)] = 10


def run(parameters: Parameters, seed: int) -> Result:
    spreads = {
        title: [s.std for s in activation_statistics(start, kind, samples=parameters.samples, width=parameters.width,
                                                     layers=parameters.layers, seed=seed)]
        for title, start, kind, *_ in _SETTINGS
    }  # fmt: skip
    small, tanh, relu, he_relu = spreads.values()
    depth = list(range(1, parameters.layers + 1))
    lines = [
        Line(t, depth, s, tone) for (t, s), tone in zip(spreads.items(), ("one", "two", "three", "four"), strict=True)
    ]
    return Result(
        claims=[
            Claim("Small weights: the signal vanishes within ten layers.", small[-1] < 1e-4 * small[0],
                  f"{small[0]:.3f} → {small[-1]:.1e}"),
            Claim("Variance 1 / in keeps a tanh network alive.", tanh[-1] > 0.15, f"{tanh[0]:.3f} → {tanh[-1]:.3f}"),
            Claim("The same start halves the mean square in every ReLU layer.",
                  0.6 < relu[-1] / (relu[0] * 0.5 ** ((parameters.layers - 1) / 2)) < 1.6,
                  f"{relu[0]:.3f} → {relu[-1]:.3f}"),
            Claim("Variance 2 / in keeps a ReLU network's signal as it is.", 0.6 < he_relu[-1] / he_relu[0] < 1.6,
                  f"{he_relu[0]:.3f} → {he_relu[-1]:.3f}"),
        ],
        numbers={f"deviation after the last layer: {title}": s[-1] for title, s in spreads.items()},
        pictures=[
            Picture(
                line_chart(lines, Frame("Deviation of the activations", "By layer", "layer", "standard deviation", log_y=True)),
                "Standard deviation of each layer's outputs for unit Gaussian inputs, logarithmic.",
            )
        ],
        tables=[
            Table(
                ("start", "after layer 1", "printed", "after the last", "printed"),
                [(t, spreads[t][0], first, spreads[t][-1], last) for t, _, _, first, last in _SETTINGS],
                "The printed values are those of one draw in lecture notes on initialisation (10 layers of 500 units).",
            )
        ],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "The rule for tanh fails for ReLU by a factor of 2 in the mean square of every layer, because a ReLU lets half of it "
        "pass. He's start puts exactly this factor back.",
        "What vanishes going forward vanishes going back: the gradient of a weight is a product of the same matrices.",
    ),
    formulas=(
        Formula("Var[w] = 2 / (in + out)", "Glorot and Bengio 2010, AISTATS"),
        Formula("Var[w] = 1 / in", "LeCun, Bottou, Orr and Müller 1998, Efficient backprop"),
        Formula("Var[w] = 2 / in", "He, Zhang, Ren and Sun 2015, arXiv:1502.01852"),
    ),
    code=(activation_statistics, lecun, he),
    variations=(
        Variation("layers=30", "After thirty layers only He's start has anything left with ReLU."),
        Variation("width=20", "Narrow layers: each draw strays from the rule, which holds in the mean."),
    ),
)
