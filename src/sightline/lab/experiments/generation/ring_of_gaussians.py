"""A generator may collapse onto a few modes, and its gradient may vanish: eight Gaussians on a ring.

Which loss finds all eight, which collapses, and what is left of the gradient once the critic is right?
"""

from __future__ import annotations

from collections.abc import Callable

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.ring import MODES, Game, Parameters, centres, judgement, vanishing
from sightline.losses.generative import critic_loss, generator_loss, gradient_penalty
from sightline.metrics.distributions import Coverage, coverage

SHOWN = 400  # samples of a picture


def run(parameters: Parameters, seed: int) -> Result:
    games: dict[str, Callable[[], Game]] = {
        "Wasserstein with penalty": lambda: Game("wasserstein", parameters, seed, parameters.penalty, 5),
        "bare": lambda: Game("non_saturating", parameters, seed),
        "bare, saturating": lambda: Game("saturating", parameters, seed),
    }
    played = {name: make() for name, make in games.items()}
    covered = {name: game.play(parameters.steps) for name, game in played.items()}
    pulls = vanishing(parameters, seed)
    held, bare = covered["Wasserstein with penalty"], covered["bare"]
    left = pulls["saturating"][-1] / pulls["non_saturating"][-1]
    rise = pulls["non_saturating"][-1] / pulls["non_saturating"][0]
    lines = [
        Line(name.replace("_", "-"), pulls["step"], pulls[name], tone)
        for name, tone in (("saturating", "one"), ("non_saturating", "two"))
    ]
    frame = Frame(
        "Gradient of the generator", "While the critic alone learns", "step of the critic", "norm", log_y=True
    )
    return Result(
        claims=[
            Claim("With the gradient penalty all eight modes are reached, and eight of ten samples are good.",
                held.reached == MODES and held.good >= 0.8, f"{judgement(held)}, {held.good:.1%} good"),
            Claim("The bare game reaches fewer modes, or makes fewer good samples.",
                bare.reached < held.reached or bare.good < held.good, f"{judgement(bare)}, {bare.good:.1%} good"),
            Claim("Once the critic is right, the saturating gradient is less than a hundredth of the other.",
                left < 0.01, f"{left:.3g} of it after 300 steps of the critic"),
            Claim("The non-saturating one is larger than at the start.", rise > 1, f"{rise:.3g} times"),
        ],
        numbers={f"modes, {name}": float(c.reached) for name, c in covered.items()}
        | {f"good samples, {name}": c.good for name, c in covered.items()},
        pictures=[Picture(line_chart(lines, frame), "The same critic, the same samples, two losses.")]
        + [_picture(name, game, covered[name]) for name, game in played.items()],
        tables=[Table(("game", "modes", "good", "samples a mode"),
            [[name, judgement(c), c.good, " ".join(map(str, c.counts))] for name, c in covered.items()])],
    )  # fmt: skip


def _picture(name: str, game: Game, covered: Coverage) -> Picture:
    points, ring = game.samples()[:SHOWN], centres()
    dots = Line("", points[:, 0].tolist(), points[:, 1].tolist(), "one", sizes=[0.05] * len(points))
    modes = Line("", ring[:, 0].tolist(), ring[:, 1].tolist(), "two", sizes=[0.2] * MODES)
    frame = Frame(name, "Samples and the eight modes", "x", "y", (-1.5, 1.5), (-1.5, 1.5), square=True)
    return Picture(line_chart([modes, dots], frame), f"{name}: {judgement(covered)}, {covered.good:.1%} good.")


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "The critic scores one sample at a time: a generator that makes one good point again and again is never told that the "
        "others are missing.",
        "The derivative of the saturating loss by the critic's logit is −D, and D → 0 on samples that it recognises.",
        "With a slope of at most 1 the critic cannot become right by a cliff: its score falls steadily towards every mode, and "
        "its gradient leads there.",
    ),
    formulas=(
        Formula("∂/∂s log(1 − σ(s)) = −σ(s),    ∂/∂s (−log σ(s)) = σ(s) − 1",
            "Goodfellow et al. 2014, arXiv:1406.2661, section 3"),
        Formula("E D(made) − E D(real) + λ E (|∇D| − 1)²", "Gulrajani et al. 2017, arXiv:1704.00028"),
    ),
    code=(critic_loss, generator_loss, gradient_penalty, coverage),
    variations=(
        Variation("noise=1", "A line of noise cannot be torn apart: more samples lie between the modes."),
        Variation("steps=100", "After a tenth of the steps the samples still fill the ring's inside."),
    ),
)  # fmt: skip
