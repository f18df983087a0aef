"""The image that a class's score likes best: activation maximisation.

    arg max over I of S_c(I) - λ ||I||²       Simonyan, Vedaldi & Zisserman 2013, arXiv:1312.6034, section 2

S_c is the score before the softmax, which could also be raised by lowering other classes. I is the deviation from the mean
image.
Scores have no natural scale, so λ is given in natural units: with `weight` 1 an image with the energy of a typical one pays one
deviation of the class's score over real images. The usual regularisers keep the image from being noise: random shifts before
each step, a slight blur now and then (Yosinski et al. 2015, arXiv:1506.06579), and pixels that stay between 0 and 255.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.nn import functional as F

from sightline.explanation.subject import Subject, undisturbed
from sightline.randomness.keyed import integers

RATE = 4.0  # levels that a pixel moves in a step at first, at most
MEASURE = 8  # steps between two measurements
SHIFT = 16  # one over the share of the side that an image is shifted by at most
BLURRED = 4  # steps between two blurs, over the first half of the way


@dataclass(frozen=True)
class ClassImage:
    """image       (c, h, w) uint8: the score is that of these rounded pixels
    score       of the image for its class, and `confidence` the class's probability where there is one
    best        the largest score of the class among the real images, and `of` the number of that image
    penalty     λ, for deviations from the mean in units of the full range
    """

    target: int
    image: UInt8[Tensor, "c h w"]
    score: float
    confidence: float
    best: float
    of: int
    penalty: float

    @property
    def reached(self) -> bool:
        """Whether no real image has a larger score."""
        return self.score >= self.best


def class_images(
    subject: Subject,
    targets: Int[Tensor, "k"],
    scores: Float[Tensor, "n classes"],
    mean: Float[Tensor, "c h w"],
    energy: float,
    *,
    steps: int = 128,
    weight: float = 1.0,
    seed: int = 0,
    tick: Callable[[int], object] = lambda steps: None,
) -> list[ClassImage]:
    """One image for each of the classes.

    scores   of real images, as the subject gives them
    mean     of real images, 0-255
    energy   the mean over real images of ||(x - mean) / 255||²
    steps    of gradient ascent; as many again, without blur and with a tenth of λ, where a real image has a larger score
    tick     is called with the number of steps that are done
    """
    own = scores[:, targets].float()  # (n, k)
    penalty = weight * own.std(0, correction=0).clamp(min=1e-6) / max(energy, 1e-12)  # (k,)
    climb = _Climb(subject, targets, mean, penalty.to(mean), seed, tick)
    with undisturbed(subject.network):
        climb.run(steps, blurred=True)
        behind = climb.best_score.cpu() < own.amax(0)
        if bool(behind.any()):
            climb.relax(behind.to(mean.device))
            climb.run(steps, blurred=False)
        confidence = subject.confidence(climb.best.float(), targets).detach()
    return [
        ClassImage(
            int(target), climb.best[i].cpu(), float(climb.best_score[i]), float(confidence[i]), float(own[:, i].max()),
            int(own[:, i].argmax()), float(climb.penalty[i]),
        )
        for i, target in enumerate(targets)
    ]  # fmt: skip


class _Climb:
    """Gradient ascent for all classes at once; `best` are the rounded images nearest to the aim so far."""

    def __init__(
        self,
        subject: Subject,
        targets: Int[Tensor, "k"],
        mean: Float[Tensor, "c h w"],
        penalty: Float[Tensor, "k"],
        seed: int,
        tick: Callable[[int], object],
    ) -> None:
        self.subject, self.targets, self.mean, self.penalty, self.seed, self.tick = (
            subject, targets, mean, penalty, seed, tick,
        )  # fmt: skip
        self.image = mean.expand(len(targets), *mean.shape).clone()
        self.best = self.image.round().clamp(0, 255).to(torch.uint8)
        self.best_score = torch.full((len(targets),), -math.inf, device=mean.device)
        self.best_aim = torch.full_like(self.best_score, -math.inf)
        self.done = 0

    def relax(self, behind: Bool[Tensor, "k"]) -> None:
        """A tenth of λ for some of the classes."""
        self.penalty = torch.where(behind, self.penalty / 10, self.penalty)
        self.best_aim = torch.where(behind, -math.inf, self.best_aim)

    def run(self, steps: int, *, blurred: bool) -> None:
        for step in range(steps):
            image = self._step(RATE * (1 - 0.75 * step / steps))
            if blurred and step % BLURRED == 0 and 2 * step < steps:
                image = blur(image, 0.5)
            self.image = image
            self.done += 1
            if (step + 1) % MEASURE == 0 or step + 1 == steps:
                self._measure()
            self.tick(self.done)

    def _step(self, rate: float) -> Float[Tensor, "k c h w"]:
        down, across = (_shift(side, self.seed, name, self.done) for side, name in
                        zip(self.mean.shape[1:], ("image down", "image across"), strict=True))  # fmt: skip
        leaf = self.image.roll((down, across), (2, 3)).requires_grad_()
        with torch.enable_grad():
            deviation = (leaf - self.mean.roll((down, across), (1, 2))) / 255
            score = self.subject.score(leaf.clone(), self.targets)
            aim = score - self.penalty * deviation.flatten(1).square().sum(1)
            (slope,) = torch.autograd.grad(aim.sum(), leaf)
        size = slope.flatten(1).square().mean(1).sqrt().clamp(min=1e-12)[:, None, None, None]
        moved = leaf.detach() + rate * (slope / size).clamp(-3, 3)
        return moved.clamp(0, 255).roll((-down, -across), (2, 3))

    def _measure(self) -> None:
        rounded = self.image.round().to(torch.uint8)
        with torch.no_grad():
            score = self.subject.score(rounded.float(), self.targets).to(self.best_score)
        aim = score - self.penalty * ((rounded - self.mean) / 255).flatten(1).square().sum(1)
        better = aim > self.best_aim
        self.best_aim = torch.where(better, aim, self.best_aim)
        self.best = torch.where(better[:, None, None, None], rounded, self.best)
        self.best_score = torch.where(better, score, self.best_score)


def _shift(side: int, seed: int, name: str, step: int) -> int:
    most = side // SHIFT
    return int(integers(2 * most + 1, seed, name, torch.tensor([step]))[0]) - most


def blur(image: Float[Tensor, "b c h w"], deviation: float) -> Float[Tensor, "b c h w"]:
    """A Gaussian blur of three pixels; the border is repeated."""
    side = math.exp(-0.5 / deviation**2)
    row = torch.tensor([side, 1.0, side], device=image.device, dtype=image.dtype)
    row = row / row.sum()
    channels = image.shape[1]
    kernel = (row[:, None] * row).expand(channels, 1, 3, 3)
    return F.conv2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), kernel, groups=channels)
