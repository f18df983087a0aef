"""The pinhole camera: what a projection keeps, and what it loses.

A point (X, Y, Z) in front of a pinhole falls on (f X / Z, f Y / Z). What becomes of sizes, of parallel lines, of depth?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Float
from pydantic import Field

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Variation

Points = Float[np.ndarray, "n 3"]


@dataclass(frozen=True)
class Parameters:
    focal: Annotated[float, Field(ge=0.1, le=10)] = 1.0
    distance: Annotated[float, Field(ge=2, le=50)] = 4.0


def project(points: Points, focal: float) -> Float[np.ndarray, "n 2"]:
    """Points (x right, y down, z ahead) on the image plane."""
    return focal * points[:, :2] / points[:, 2:]


def cube(distance: float) -> tuple[Points, list[tuple[int, int]]]:
    """The corners of a cube of side 2 whose middle lies so far ahead, a little turned, and its 12 edges."""
    corners = np.array([(x, y, z) for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
    turn = np.array([[np.cos(0.5), 0, np.sin(0.5)], [0, 1, 0], [-np.sin(0.5), 0, np.cos(0.5)]])
    edges = [(i, j) for i in range(8) for j in range(i + 1, 8) if np.abs(corners[i] - corners[j]).sum() == 2]
    return corners @ turn.T + [0, 0, distance], edges


def crossing(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> Float[np.ndarray, "2"]:
    """Where the line through a and b meets the one through c and d."""
    first, second = (np.cross(np.append(p, 1.0), np.append(q, 1.0)) for p, q in ((a, b), (c, d)))
    point = np.cross(first, second)
    return point[:2] / point[2]


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    post = np.array([[0.0, -1.0, p.distance], [0.0, 1.0, p.distance]])
    heights = [float(np.ptp(project(post * [1, 1, k], p.focal)[:, 1])) for k in (1, 2, 4)]
    depths = np.array([2.0, 4.0, 8.0, 1e6])
    left, right = (project(np.stack([np.full(4, x), np.full(4, 1.0), depths], 1), p.focal) for x in (-1.0, 1.0))
    meeting = crossing(left[0], left[1], right[0], right[1])
    draw = np.random.default_rng(seed)
    points = draw.uniform(-1, 1, (50, 3)) + np.array([0, 0, p.distance])
    scales = draw.uniform(0.5, 3, (50, 1))
    same = float(np.abs(project(points * scales, p.focal) - project(points, p.focal)).max())
    line = np.linspace(points[0], points[1], 9)
    flat = project(line, p.focal)
    chord, offsets = flat[-1] - flat[0], flat - flat[0]
    bend = float(np.abs(chord[0] * offsets[:, 1] - chord[1] * offsets[:, 0]).max())
    corners, edges = cube(p.distance)
    image = project(corners, p.focal)
    drawn = []
    for number, edge in enumerate(edges):
        x, y = image[list(edge)].T.tolist()
        drawn.append(Line("cube" if number == 0 else "", x, y, tone="one"))
    rails = [Line(name, side[:, 0].tolist(), side[:, 1].tolist(), tone="two")
             for name, side in (("rails", left), ("", right))]  # fmt: skip
    return Result(
        claims=[
            Claim("Twice as far is half as large.",
                  bool(np.allclose([h * k for h, k in zip(heights, (1, 2, 4), strict=True)], heights[0])),
                  ", ".join(f"{h:.3f}" for h in heights)),
            Claim("Parallel lines that lead away meet in one point, that of their direction.",
                  bool(np.abs(meeting).max() < 1e-9), f"({meeting[0]:.1g}, {meeting[1]:.1g})"),
            Claim("All points on a ray from the pinhole fall on one: depth is lost.", same < 1e-12, f"{same:.0e} apart"),
            Claim("Straight lines stay straight.", bend < 1e-12, f"{bend:.0e}"),
        ],
        numbers={"height at 1, 2 and 4 times the distance, first": heights[0], "third": heights[2]},
        pictures=[Picture(line_chart(drawn, Frame("A cube through a pinhole", "The edges of a cube", "x", "y")),
                          "Edges that are parallel in space are not in the image."),
                  Picture(line_chart(rails, Frame("Rails", "Two parallel lines", "x", "y")),
                          "They meet at the horizon, where y is 0.")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=("An image is a scene divided by its depth. Everything that vision says of the third dimension, it infers.",
            "The image in a real pinhole is upside down; the plane in front of it, used here, is not."),
    formulas=(Formula("x = f X / Z,  y = f Y / Z", "Hartley and Zisserman, Multiple View Geometry, chapter 6"),),
    code=(project, crossing),
    variations=(Variation("focal=3", "A longer camera: everything larger, perspective the same."),
                Variation("distance=20", "From far away parallel edges look almost parallel.")),
)  # fmt: skip
