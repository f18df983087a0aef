"""Simple, complex and end-stopped cells: what Hubel and Wiesel found, as filters.

Which operations on an image answer like the cells of a cat's visual cortex, and what does each of them ignore?
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.explanation.features.filters import orientation_selectivity
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Variation
from sightline.lab.seeing.cells import Cell, bar, complex_cell, end_stopped, grating, kernel_of, simple
from sightline.lab.seeing.kernels import gabor
from sightline.lab.seeing.pixels import grey, named_grid, signed

ANGLES = [math.radians(d) for d in range(-90, 90, 10)]
PHASES = [math.radians(d) for d in range(0, 360, 15)]
LENGTHS = list(range(1, 34, 2))


@dataclass(frozen=True)
class Parameters:
    wavelength: Annotated[float, Field(ge=4, le=16)] = 8.0
    orientation: Annotated[float, Field(ge=0, lt=180)] = 0.0  # degrees of the direction in which the wave changes


def spread(values: list[float]) -> float:
    return (max(values) - min(values)) / max(values)


def run(parameters: Parameters, seed: int) -> Result:
    p = Cell(parameters.wavelength, parameters.orientation)
    kernel = kernel_of(p)
    own = math.radians(p.orientation)
    tuning = [complex_cell(kernel, grating(p, a + own, 0.0)) for a in ANGLES]
    by_phase = {
        "simple": [simple(kernel, grating(p, own, f)) for f in PHASES],
        "complex": [complex_cell(kernel, grating(p, own, f)) for f in PHASES],
    }
    by_length = {
        "complex": [complex_cell(kernel, bar(p, n)) for n in LENGTHS],
        "end-stopped": [end_stopped(p, bar(p, n)) for n in LENGTHS],
    }
    half = [math.degrees(a) for a, t in zip(ANGLES, tuning, strict=True) if t >= max(tuning) / 2]
    width = sum(1 for _ in half) * 10
    light = abs((kernel.sum()).item())
    stopped = by_length["end-stopped"]
    best = LENGTHS[stopped.index(max(stopped))]
    selectivity = float(orientation_selectivity(kernel.real.float().numpy()[None, None])[0])
    point = gabor(
        torch.tensor([0.0, 1, 1]), torch.tensor([0.0, 0, 2]), wavelength=4, orientation=math.pi / 4, sigma=2, aspect=0.5
    )
    degrees = [math.degrees(a) for a in ANGLES]
    charts = [
        line_chart([Line("complex", degrees, [t / max(tuning) for t in tuning])],
                   Frame("Tuning to orientation", "Answer to gratings of all orientations", "degrees off", "answer",
                         y_range=(0, 1.05))),
        line_chart([Line(n, [math.degrees(f) for f in PHASES], [v / max(c) for v in c], t) for (n, c),
                    t in zip(by_phase.items(), ("two", "one"), strict=True)],
                   Frame("Phase of the grating", "Answers while the grating drifts", "degrees", "answer",
                         y_range=(0, 1.05))),
        line_chart([Line(n, LENGTHS, [v / max(c) for v in c], t) for (n, c),
                    t in zip(by_length.items(), ("one", "three"), strict=True)],
                   Frame("Length of a bar", "Answers to longer and longer bars", "pixels", "answer",
                         y_range=(0, 1.05))),
    ]  # fmt: skip
    shown = [
        ("even", signed(kernel.real)),
        ("odd", signed(kernel.imag)),
        ("grating", grey(grating(p, own, 0.0))),
        ("bar", grey(bar(p, best))),
    ]
    return Result(
        claims=[
            Claim("The cell prefers its own orientation, and a grating across it leaves it silent.",
                  tuning.index(max(tuning)) == 9 and tuning[0] < 0.01 * max(tuning),
                  f"answer at 90°: {tuning[0] / max(tuning):.1%}"),
            Claim("At half height its tuning is at most 60° wide, as of many cells in the cortex.", width <= 60,
                  f"about {width}°"),
            Claim("The simple cell falls silent for half of all phases; the complex cell hardly notices them.",
                  min(by_phase["simple"]) == 0 and spread(by_phase["complex"]) < 0.05,
                  f"variation {spread(by_phase['simple']):.0%} and {spread(by_phase['complex']):.1%}"),
            Claim("The end-stopped cell prefers a certain length: a bar through the whole field halves its answer, "
                  "not that of the complex cell.",
                  stopped[-1] <= max(stopped) / 2 and by_length["complex"][-1] > 0.9 * max(by_length["complex"]),
                  f"best at {best} pixels; behind it {stopped[-1] / max(stopped):.0%} against "
                  f"{by_length['complex'][-1] / max(by_length['complex']):.0%}"),
            Claim("Uniform light gives no answer.", light < 1e-9, f"{light:.0e}"),
            Claim("Gabor's formula by hand: 1; .411 + .829i; −.551 − .106i.",
                  torch.allclose(torch.view_as_real(point),
                                 torch.tensor([[1, 0], [0.4106475, 0.828682], [-0.550794, -0.106254]]), atol=1e-5),
                  ", ".join(f"{c.real:.3f}{c.imag:+.3f}i" for c in point.tolist())),
        ],
        numbers={"orientation selectivity of the even filter": selectivity, "best length, pixels": float(best)},
        pictures=[Picture(named_grid(shown, 4, 132), "The quadrature pair, its grating and its bar.", wide=True),
                  *(Picture(c, t) for c,
                    t in zip(charts, ("Orientation.", "Phase: the energy of both filters does not depend on it.",
                                      "Length."), strict=True))],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=("Filter, rectify, combine: the same three steps as a convolution, a ReLU and a pooling.",
            "First layers of trained networks have such filters; nothing in them was made for it."),
    formulas=(Formula("simple = max(0, Σ g_even · I)      complex = √((Σ g_even · I)² + (Σ g_odd · I)²)",
                      "Adelson and Bergen 1985, JOSA A 2(2)"),
              Formula("orientation, phase and length of cortical cells",
                      "Hubel and Wiesel 1962, J. Physiol. 160; end-stopping 1965, J. Neurophysiol. 28"),
              Formula("g = exp(−(u² + γ²v²)/2σ²) · exp(i(2πu/λ + ψ))", "Daugman 1985, JOSA A 2(7)")),
    code=(gabor, simple, complex_cell, end_stopped),
    variations=(Variation("orientation=45", "A cell for diagonals."),
                Variation("wavelength=5", "Finer: a shorter bar is best.")),
    random=False,
)  # fmt: skip
