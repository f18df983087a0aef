"""A 95 % interval should hold the truth 95 times in 100.

Which interval keeps that promise for an accuracy near 100 %, and how many test images does a difference need?
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy.stats import binom

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.metrics.proportions import wilson

Z = 1.959964
SHARES = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99)


@dataclass(frozen=True)
class Parameters:
    images: Annotated[int, Field(ge=10, le=2_000)] = 100
    runs: Annotated[int, Field(ge=100, le=20_000)] = 4_000


def wald(share: float, n: int, z: float) -> tuple[float, float]:
    """The textbook's ± z √(p (1 − p) / n)."""
    half = z * math.sqrt(share * (1 - share) / n)
    return share - half, share + half


def coverage(interval: object, share: float, n: int) -> float:
    """The exact probability that the interval of n trials holds `share`: a sum over all outcomes."""
    held = [low <= share <= high for low, high in (interval(k / n, n, Z) for k in range(n + 1))]  # type: ignore[operator]
    return float(binom.pmf(np.arange(n + 1), n, share)[np.array(held)].sum())


def needed(share: float, half: float) -> int:
    """The least multiple of 10 images whose Wilson interval is at most ± `half` wide on either side."""
    n = 10
    while max(abs(edge - share) for edge in wilson(share, n, Z)) > half:
        n = math.ceil(n * 1.02 / 10) * 10 + 10
    return n


def run(parameters: Parameters, seed: int) -> Result:
    n = parameters.images
    draw = np.random.default_rng(seed)
    rows, simulated = [], []
    for share in SHARES:
        exact = {"Wilson": coverage(wilson, share, n), "Wald": coverage(wald, share, n)}
        trials = draw.binomial(n, share, parameters.runs) / n
        edges = {k: wilson(k / n, n, Z) for k in range(n + 1)}
        simulated.append(float(np.mean([edges[round(t * n)][0] <= share <= edges[round(t * n)][1] for t in trials])))
        rows.append((f"{share:.0%}", exact["Wilson"], simulated[-1], exact["Wald"]))
    grid = [i / 200 for i in range(100, 200)]
    curves = {name: [coverage(f, s, n) for s in grid] for name, f in (("Wilson", wilson), ("Wald", wald))}
    perfect, perfect_wald = wilson(1.0, n, Z), wald(1.0, n, Z)
    outside = wald(0.99, n, Z)[1]
    frame = Frame(
        f"Coverage with {n} images",
        "Probability that the 95 % interval holds the true accuracy",
        "true accuracy",
        "coverage",
        y_range=(0.4, 1.0),
    )
    lines = [Line("Wilson", grid, curves["Wilson"]), Line("Wald", grid, curves["Wald"], "two")]
    sizes = [(f"{share:.0%}", needed(share, 0.05), needed(share, 0.01)) for share in (0.5, 0.8, 0.9, 0.95)]
    spread = max(abs(a - row[1]) for a, row in zip(simulated, rows, strict=True))
    mean = float(np.mean(curves["Wilson"]))
    chance = 4 * math.sqrt(0.25 / parameters.runs)
    return Result(
        claims=[
            Claim("Wilson's interval covers 95 % on average over accuracies from 50 % to 99.5 % (within 0.02).",
                  abs(mean - 0.95) <= 0.02, f"{mean:.3f}"),
            Claim("The textbook's interval breaks its promise near 100 %: at an accuracy of 98 % it covers less than "
                  "90 %.",
                  n > 400 or coverage(wald, 0.98, n) < 0.9,
                  f"{coverage(wald, 0.98, n):.3f} against Wilson's {coverage(wilson, 0.98, n):.3f}"),
            Claim("Simulated runs agree with the exact sum.", spread < chance,
                  f"largest difference {spread:.3f}, {parameters.runs:,} runs each"),
            Claim("Without a mistake the textbook's interval has no width; Wilson's does.",
                  perfect_wald == (1.0, 1.0) and perfect[0] < 1 and perfect[1] == 1,
                  f"{n} of {n} right: {perfect[0]:.3f} to 1"),
            Claim("The textbook's interval leaves [0, 1].", outside > 1, f"99 % ± … ends at {outside:.3f}"),
            Claim("± 1 point takes between 20 and 30 times the images of ± 5 points, at an accuracy of 80 %.",
                  20 <= sizes[1][2] / sizes[1][1] <= 30, f"{sizes[1][1]} and {sizes[1][2]:,}"),
        ],
        numbers={"mean coverage, Wilson": mean, "mean coverage, Wald": float(np.mean(curves["Wald"]))},
        pictures=[Picture(line_chart(lines, frame),
                          "Coverage jumps because counts are whole; Wilson's stays near 0.95.")],
        tables=[Table(("true accuracy", "Wilson", "Wilson, simulated", "Wald"), rows, f"Coverage, {n} images"),
                Table(("accuracy", "images for ± 5 points", "for ± 1 point"), sizes,
                      "Test images that an interval needs")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=("With 100 test images, 90 % means 83 to 94 %: most published differences of two points need thousands of "
            "images.",
            "An interval speaks of the images, not of the network's training: another seed adds a spread of its own."),
    formulas=(Formula("(p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n)",
                      "Wilson 1927; compared in Brown, Cai and DasGupta 2001"),
              Formula("p ± z √(p(1−p)/n)", "Wald's interval, in most textbooks")),
    code=(wilson, wald, coverage),
    variations=(Variation("images=30", "Few images: both jump, Wald's falls far below."),
                Variation("images=1000", "Many: they agree.")),
)  # fmt: skip
