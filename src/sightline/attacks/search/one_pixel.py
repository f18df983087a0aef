"""One pixel by differential evolution: Su, Vargas & Sakurai 2019, "One pixel attack for fooling deep neural networks"
(arXiv:1710.08864).

A candidate is (row, column, a value for each channel). The first generation draws places uniformly and values from
N(128, 127²). A child is a + F (b - c) of three other candidates, F = 0.5, without crossover, and replaces its parent if it
is fitter: if the true class has a lower probability, or the target a higher one.

Each generation of an image is one forward pass of the whole population. It may go through a faster function of nearly equal
answers (folded batch norms, bfloat16): a candidate counts as a success only where the network itself confirms it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from sightline.attacks.draws import Ids, flat, normal
from sightline.attacks.scores import Labels, Pixels, Scores
from sightline.engine.devices import BF16_WORTH, choose_precision
from sightline.losses.adversarial import LEVELS

POPULATION, GENERATIONS = 400, 100
SCALE = 0.5  # F
_CHUNK = 1 << 26  # values of one forward pass: large images are passed in parts, or a population would need gigabytes

Candidates = Float[Tensor, "p q"]  # q is 2 + channels


@torch.no_grad()
def one_pixel(
    scores: Scores,
    x: Pixels,
    y: Labels,
    *,
    population: int = POPULATION,
    generations: int = GENERATIONS,
    seed: int = 0,
    ids: Ids,
    target: Labels | None = None,
    quick: Scores | None = None,
) -> UInt8[Tensor, "b c h w"]:
    """The image with exactly one pixel changed. The search of an image ends as soon as it succeeds.

    `quick` compares the candidates in place of `scores`, which decides whether one succeeds.

    `x` must have whole levels; those of the result are whole as well.
    """
    pairs = zip(
        x.split(1), y.split(1), ids.split(1), [None] * len(x) if target is None else target.split(1), strict=True
    )
    network = _Network(scores, quick)
    return torch.cat([_attacked(network, one, c, i, t, population, generations, seed) for one, c, i, t in pairs])


class _Network(NamedTuple):
    scores: Scores
    quick: Scores | None


def _attacked(
    network: _Network,
    x: Float[Tensor, "1 c h w"],
    y: Labels,
    id: Ids,
    target: Labels | None,
    population: int,
    generations: int,
    seed: int,
) -> UInt8[Tensor, "1 c h w"]:
    here = _first(x, population, seed, id)
    fitness, done = _fitness(network, x, here, y, target)
    for generation in range(1, generations):
        if done.any():
            break
        children = _inside(_children(here, seed, id, generation), x)
        value, reached = _fitness(network, x, children, y, target)
        better = value < fitness
        here, fitness = torch.where(better[:, None], children, here), torch.where(better, value, fitness)
        done = better & reached
    chosen = fitness.where(done, fitness + 2) if done.any() else fitness  # those that succeed come first
    return _painted(x, here[chosen.argmin()][None]).to(torch.uint8)


def _first(x: Float[Tensor, "1 c h w"], population: int, seed: int, id: Ids) -> Candidates:
    height, width = x.shape[2:]
    place = flat((population, 2), seed, "one pixel place", id)[0] * torch.tensor([height, width]).to(x)
    value = 128 + 127 * normal((population, x.shape[1]), seed, "one pixel value", id)[0]
    return _inside(torch.cat([place, value], 1), x)


def _children(here: Candidates, seed: int, id: Ids, generation: int) -> Candidates:
    """a + F (b - c), where a, b and c are three others of each candidate.

    Their distances from it around a circle of candidates are drawn without repetition: of p - 1 others, d₁ is one of p - 1
    distances, and each next one is moved past those before it.
    """
    n = len(here)
    draw = flat((n, 3), seed, "one pixel parents", id, generation)[0]
    first = (draw[:, 0] * (n - 1)).long()
    second = (draw[:, 1] * (n - 2)).long()
    second = second + (second >= first)
    third = (draw[:, 2] * (n - 3)).long()
    low, high = torch.minimum(first, second), torch.maximum(first, second)
    third = third + (third >= low)
    third = third + (third >= high)
    own = torch.arange(n, device=here.device)
    a, b, c = (here[(own + 1 + distance) % n] for distance in (first, second, third))
    return a + SCALE * (b - c)


def _inside(candidates: Candidates, x: Float[Tensor, "1 c h w"]) -> Candidates:
    """Places inside the image, values from 0 to 255."""
    height, width = x.shape[2:]
    most = torch.tensor([height - 1e-3, width - 1e-3, *[LEVELS] * x.shape[1]]).to(x)
    return candidates.clamp(min=0).minimum(most)


def _painted(x: Float[Tensor, "1 c h w"], candidates: Candidates) -> Pixels:
    """(p, c, h, w): the image with the pixel of each candidate. A value that equals the old one in every channel moves by a
    level, or no pixel would differ."""
    row, column = candidates[:, 0].long(), candidates[:, 1].long()
    value, old = candidates[:, 2:].round(), x[0, :, row, column].T
    same = (value == old).all(1)
    value[same, 0] += torch.where(old[same, 0] < LEVELS, 1.0, -1.0)
    painted = x.repeat(len(candidates), 1, 1, 1)
    painted[torch.arange(len(candidates)), :, row, column] = value
    return painted


def _fitness(
    network: _Network, x: Float[Tensor, "1 c h w"], candidates: Candidates, y: Labels, target: Labels | None
) -> tuple[Float[Tensor, "p"], Tensor]:
    """What is to be decreased, and whether the candidate succeeds.

    The population is compared in bfloat16 where the processor is faster with it. A success counts only if it is one of the
    network itself in float32."""
    painted = _painted(x, candidates)
    scores, quick = network
    reduced = choose_precision("auto", x.device.type, BF16_WORTH) == "bf16"
    with torch.autocast(x.device.type, torch.bfloat16, enabled=reduced):
        answer = torch.cat(
            [(quick or scores)(part) for part in painted.split(max(1, _CHUNK // (64 * x.numel())))]
        ).float()
    probability, reached = answer.softmax(1), _reached(answer, y, target)
    if (reduced or quick is not None) and reached.any():
        reached[reached.clone()] = _reached(scores(painted[reached]).float(), y, target)
    return probability[:, int(y)] if target is None else -probability[:, int(target)], reached


def _reached(answer: Float[Tensor, "p k"], y: Labels, target: Labels | None) -> Bool[Tensor, "p"]:
    best = answer.argmax(1)
    return best != y if target is None else best == target
