"""Maps from the gradient of a score with respect to the pixels.

    gradient           max over channels of |∂S/∂x|      Simonyan, Vedaldi & Zisserman 2013, arXiv:1312.6034, section 3
    input x gradient   x · ∂S/∂x                         Shrikumar, Greenside & Kundaje 2017, arXiv:1704.02685, section 2
    SmoothGrad         mean of ∂S/∂(x + noise)           Smilkov et al. 2017, arXiv:1706.03825

S is the score before the softmax: the gradient of a probability vanishes where the network is sure, and mixes evidence for
the class with evidence against the others.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.explanation.subject import Attribution, Subject, gradient, undisturbed
from sightline.randomness.keyed import torch_seeded

Baseline = float | Literal["mean"]  # a value in 0-255 units, or the mean of each channel of the image
SLOPE = "score per 0-255 unit of a pixel"
SAMPLES = 50
CHUNK = 8  # images of one backward pass: more save little time and cost memory in proportion


def saliency(subject: Subject, pixels: Float[Tensor, "b c h w"], target: Int[Tensor, "b"]) -> Attribution:
    """How much the score moves with each pixel, in either direction."""
    with undisturbed(subject.network):
        slope = gradient(subject, pixels, target)
    return Attribution(slope, "largest", signed=False, unit=SLOPE)


def input_x_gradient(
    subject: Subject, pixels: Float[Tensor, "b c h w"], target: Int[Tensor, "b"], *, baseline: Baseline = 0.0
) -> Attribution:
    """The part of each pixel in the score, were the network linear: its distance from the baseline (black) times the slope."""
    with undisturbed(subject.network):
        slope = gradient(subject, pixels, target)
    values = (pixels - baseline_of(pixels, baseline)) * slope
    return Attribution(values, "sum", signed=True, unit="score", settings={"baseline": baseline})


def baseline_of(pixels: Float[Tensor, "b c h w"], baseline: Baseline) -> Float[Tensor, "b c h w"]:
    """An image with nothing on it: one value in 0-255 units, or each channel's mean."""
    if baseline == "mean":
        return pixels.mean((2, 3), keepdim=True).expand_as(pixels)
    return torch.full_like(pixels, baseline)


def smoothgrad(
    subject: Subject,
    pixels: Float[Tensor, "b c h w"],
    target: Int[Tensor, "b"],
    *,
    samples: int = SAMPLES,
    noise: float = 0.15,
    seed: int = 0,
) -> Attribution:
    """The mean gradient over `samples` noisy copies; the noise has `noise` times the range of the image's values as its
    deviation (10 to 20 % in the paper). Copy i of an image depends on (seed, i) only."""
    rows = []
    with undisturbed(subject.network):
        for image, index in zip(pixels, target, strict=True):
            deviation = noise * (image.max() - image.min())
            total = torch.zeros_like(image)
            for part in torch.arange(samples).split(min(CHUNK, subject.batch)):
                copies = [image + deviation * _normal(image, seed, i) for i in part.tolist()]
                total += gradient(subject, torch.stack(copies), index.expand(len(copies))).sum(0)
            rows.append(total / samples)
    settings = {"samples": samples, "noise": noise, "seed": seed}
    return Attribution(torch.stack(rows), "largest", signed=False, unit=SLOPE, settings=settings)


def _normal(like: Float[Tensor, "c h w"], seed: int, i: int) -> Float[Tensor, "c h w"]:
    with torch_seeded(seed, "smoothgrad", i):
        return torch.randn(like.shape).to(like)
