"""Does the score depend on the pixels that a map ranks first? Deletion and insertion, and an interval for the comparison.

    deletion    pixels are hidden, the highest first: the sooner the target's probability falls, the better
    insertion   pixels are shown in a hidden image, the highest first: the sooner it rises, the better
                                                        Petsiuk, Das & Saenko 2018, arXiv:1806.07421

Both see only the order of pixels, both show the network images unlike any that it learned from, and what hides a pixel may
decide which method wins (Sturmfels, Lundberg & Lee 2020, "Visualizing the impact of feature attribution baselines"). So two
fills are measured, and each figure stands beside that of three maps that know nothing of the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from sightline.explanation.subject import Subject, undisturbed
from sightline.randomness.keyed import integers

Fill = Literal["blur", "mean"]
FILLS: tuple[Fill, ...] = ("blur", "mean")
STEPS = 32
CHUNK = 32
RESAMPLES = 1000


class Curves(NamedTuple):
    """The target's probability (b, steps + 1) while pixels are hidden or shown, by equal shares."""

    deletion: Float[np.ndarray, "b s"]
    insertion: Float[np.ndarray, "b s"]


class Gain(NamedTuple):
    """A mean difference of areas over images with its 95 % interval; positive where the method is better."""

    mean: float
    low: float
    high: float


def hidden(pixels: Float[Tensor, "b c h w"], fill: Fill) -> Float[Tensor, "b c h w"]:
    """The image with nothing to see: blurred with a deviation of an eighth of its shorter side, or each channel's mean."""
    if fill == "mean":
        return pixels.mean((2, 3), keepdim=True).expand_as(pixels)
    deviation = min(pixels.shape[2:]) / 8
    reach = max(1, round(2.5 * deviation))
    reach = min(reach, min(pixels.shape[2:]) - 1)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / deviation) ** 2).to(pixels)
    kernel, channels = kernel / kernel.sum(), pixels.shape[1]
    across, down = (kernel.view(shape).expand(channels, -1, -1, -1) for shape in ((1, 1, 1, -1), (1, 1, -1, 1)))
    wide = F.conv2d(F.pad(pixels, (reach, reach, 0, 0), mode="reflect"), across, groups=channels)
    return F.conv2d(F.pad(wide, (0, 0, reach, reach), mode="reflect"), down, groups=channels)


def curves(
    subject: Subject,
    pixels: Float[Tensor, "b c h w"],
    target: Int[Tensor, "b"],
    maps: Float[Tensor, "b h w"],
    *,
    fill: Fill = "blur",
    steps: int = STEPS,
) -> Curves:
    """The curves of one map for each image; ties are ranked by place."""
    empty, rows = hidden(pixels, fill), []
    with undisturbed(subject.network), torch.no_grad():
        for image, blank, index, heat in zip(pixels, empty, target, maps, strict=True):
            rank = torch.empty(heat.numel(), dtype=torch.long, device=heat.device)
            rank[heat.flatten().argsort(descending=True, stable=True)] = torch.arange(heat.numel(), device=heat.device)
            cuts = torch.linspace(0, heat.numel(), steps + 1, device=heat.device).round()
            first = (rank.view_as(heat) < cuts[1:-1, None, None])[
                :, None
            ]  # (s, 1, h, w): the pixels of the first steps
            ends = subject.confidence(torch.stack([image, blank]), index.expand(2)).view(2, 1).cpu()
            sure = [ends]
            for part in first.split(max(1, min(CHUNK, subject.batch) // 2)):
                both = torch.cat([torch.where(part, blank, image), torch.where(part, image, blank)])
                sure.append(subject.confidence(both, index.expand(len(both))).view(2, -1).cpu())
            rows.append(torch.cat([*sure, ends.flip(0)], 1))
    stacked = torch.stack(rows).double().numpy()  # (b, 2, s)
    return Curves(stacked[:, 0], stacked[:, 1])


def area(curve: Float[np.ndarray, "b s"]) -> Float[np.ndarray, "b"]:
    """The mean height of each curve by the trapezoidal rule."""
    return (curve[:, 1:] + curve[:, :-1]).mean(1) / 2


def scores_of(found: Curves) -> Mapping[str, Float[np.ndarray, "b"]]:
    """Each image's area by measure."""
    return {"deletion": area(found.deletion), "insertion": area(found.insertion)}


def gain(
    method: Float[np.ndarray, "b"], control: Float[np.ndarray, "b"], *, lower_is_better: bool, seed: int = 0
) -> Gain:
    """How much better a method's areas are than a control's on the same images: the paired percentile bootstrap (Efron &
    Tibshirani 1993, ch. 13) of the mean difference. With fewer than two images the interval is infinite."""
    difference = (control - method) if lower_is_better else (method - control)
    n, mean = len(difference), float(difference.mean())
    if n < 2:
        return Gain(mean, -np.inf, np.inf)
    draws = integers(n, seed, "paired bootstrap", torch.arange(RESAMPLES)[:, None], torch.arange(n)).numpy()
    low, high = np.quantile(difference[draws].mean(1), (0.025, 0.975))
    return Gain(mean, float(low), float(high))
