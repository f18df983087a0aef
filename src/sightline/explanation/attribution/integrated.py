"""Integrated gradients: Sundararajan, Taly & Yan 2017, arXiv:1703.01365.

    IG(x) = (x - x₀) · ∫₀¹ ∂S/∂x (x₀ + α (x - x₀)) dα,      Σ IG(x) = S(x) - S(x₀)        (completeness)

The integral is a Gauss-Legendre sum. Where the sum over pixels misses the difference of scores by more than 1 %, a sum with
twice as many points joins it, each with the weight of its number of points, and so on up to 400 in all; a map that is still
incomplete says so.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.explanation.subject import Attribution, Subject, gradient, undisturbed

from .gradients import Baseline, baseline_of

STEPS = 50
CHUNK = 10  # points of the path in one backward pass
TOLERANCE = 0.01  # of the difference of scores
MOST = 400


def integrated_gradients(
    subject: Subject,
    pixels: Float[Tensor, "b c h w"],
    target: Int[Tensor, "b"],
    *,
    steps: int = STEPS,
    most: int = MOST,
    baseline: Baseline = 0.0,
) -> Attribution:
    """The part of each pixel in the difference of scores between the image and a baseline: one value in 0-255 units (0 is
    black), or the mean of each channel. `steps` points of the path at first, at most `most` in all."""
    values, taken, missing, notes = [], [], [], []
    with undisturbed(subject.network):
        for image, index in zip(pixels, target, strict=True):
            start = baseline_of(image[None], baseline)[0]
            with torch.no_grad():
                ends = subject.score(torch.stack([image, start]), index.expand(2)).double()
            difference, n, points = float(ends[0] - ends[1]), steps, 0
            mean = torch.zeros_like(image)
            while True:
                mean = (points * mean + n * _mean_gradient(subject, start, image, index, n)) / (points + n)
                points += n
                value = (image - start) * mean
                error = abs(float(value.double().sum()) - difference)
                n *= 2
                if error <= TOLERANCE * abs(difference) or points + n > most:
                    break
            share = error / abs(difference) if difference else float(error > 0)
            if share > TOLERANCE:
                notes.append(
                    f"not converged: after {points} points the map's sum misses the difference of scores by {share:.0%}"
                )
            values.append(value)
            taken.append(points)
            missing.append(share)
    settings = {"baseline": baseline, "steps": taken, "incompleteness": missing, "rule": "Gauss-Legendre"}
    return Attribution(torch.stack(values), "sum", signed=True, unit="score", settings=settings, notes=tuple(notes))


def _mean_gradient(
    subject: Subject, start: Float[Tensor, "c h w"], end: Float[Tensor, "c h w"], index: Int[Tensor, ""], n: int
) -> Float[Tensor, "c h w"]:
    """∫₀¹ ∂S/∂x along the path by n points. The rule's nodes lie in (-1, 1), and its weights sum to 2."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    places = torch.from_numpy((1 + nodes) / 2).to(end).view(-1, 1, 1, 1)
    shares = torch.from_numpy(weights / 2).to(end).view(-1, 1, 1, 1)
    total = torch.zeros_like(end)
    size = min(CHUNK, subject.batch)
    for at, share in zip(places.split(size), shares.split(size), strict=True):
        slope = gradient(subject, start + at * (end - start), index.expand(len(at)))
        total += (share * slope).sum(0)
    return total
