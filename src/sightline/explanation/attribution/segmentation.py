"""An object's outline from a classifier: the seeds are its saliency, the colours do the rest.

    Simonyan, Vedaldi & Zisserman 2013, arXiv:1312.6034, section 3.2: seeds from saliency, graph cut, largest component
    Rother, Kolmogorov & Blake 2004, "GrabCut": mixtures of Gaussians for the colours of both sides, refitted to the result
    Boykov & Jolly 2001, "Interactive graph cuts": the energy, and its minimum as a maximum flow

The energy of a mask is the sum over pixels of -log p(colour | side), and over pairs of neighbours on different sides of
γ e^{-β ||difference||²} / distance, β by the image's mean difference, γ = 50 as in GrabCut. Seeds have an infinite cost on the
wrong side. It is minimised exactly. A network that never saw an outline finds the part of the object that it needs, and what
has the same colours beside it.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.ndimage import gaussian_filter, label
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow
from torch import Tensor
from torch.nn import functional as F

from sightline.explanation.subject import Attribution, Subject

from .gradients import saliency

SIDE = 96  # pixels of the longer side of the grid that is cut; larger images are shrunk to it
SURE, UNSURE = 0.95, 0.30  # quantiles of the saliency: above, seeds of the object, below, of the background
GAUSSIANS, ROUNDS = 5, 3
GAMMA = 50.0
_UNIT = 1000  # integers for 1.0 of energy, which a flow needs
_LARGEST = 2**28


def segmentation(subject: Subject, pixels: Float[Tensor, "b c h w"], target: Int[Tensor, "b"]) -> Attribution:
    """1 inside of the object that the score depends on, 0 outside."""
    maps = saliency(subject, pixels, target).map
    height, width = pixels.shape[2:]
    share = min(1.0, SIDE / max(height, width))
    size = (max(2, round(height * share)), max(2, round(width * share)))
    masks, notes = [], []
    for image, one in zip(pixels, maps, strict=True):
        small = F.interpolate(image[None].float(), size=size, mode="area")[0].permute(1, 2, 0).cpu().numpy()
        heat = F.interpolate(one[None, None].float(), size=size, mode="area")[0, 0].cpu().numpy()
        mask = object_mask(small.astype(np.float64), heat.astype(np.float64))
        notes.append(
            f"{mask.mean():.0%} of the image" if mask.any() else "no seeds: the saliency is the same everywhere"
        )
        full = F.interpolate(
            torch.from_numpy(mask.astype(np.float32))[None, None], size=(height, width), mode="nearest"
        )
        masks.append(full[0].to(pixels))
    settings: dict[str, Any] = {
        "seeds": [UNSURE, SURE], "gaussians": GAUSSIANS, "rounds": ROUNDS, "gamma": GAMMA, "grid": list(size),
    }  # fmt: skip
    return Attribution(torch.stack(masks), "sum", signed=False, unit="inside", settings=settings, notes=tuple(notes))


def object_mask(colours: Float[np.ndarray, "h w c"], heat: Float[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """The object in an image, from how much its pixels matter. Colours in 0-255 units. Empty where the heat is flat."""
    heat = gaussian_filter(heat, max(heat.shape) / 32, mode="nearest")  # a single pixel is no seed
    sure, unsure = np.quantile(heat, SURE), np.quantile(heat, UNSURE)
    inside, outside = heat >= sure, heat <= unsure
    if sure <= unsure:
        return np.zeros_like(inside)
    pairs = _neighbours(colours)
    mask = inside
    for _ in range(ROUNDS):
        foreground = mask if mask.sum() > 2 * GAUSSIANS else inside
        background = ~mask if (mask is not inside and (~mask).sum() > 2 * GAUSSIANS) else outside
        cost_inside = _surprise(colours, foreground)  # of calling a pixel the object
        cost_outside = _surprise(colours, background)
        new = _cut(cost_inside, cost_outside, inside, outside, pairs)
        if (new == mask).all():
            break
        mask = new
    return _largest(mask)


def _surprise(colours: Float[np.ndarray, "h w c"], where: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """-log p of each pixel's colour under the mixture of the colours `where`."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    own = colours[where]
    count = max(1, min(GAUSSIANS, len(np.unique(own.round(), axis=0)) // 2, len(own) // 4))
    mixture = GaussianMixture(count, reg_covar=4.0, random_state=0, max_iter=50)  # reg: two levels, squared
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ConvergenceWarning
        )  # GrabCut needs no optimum: the mixtures are refitted anyway
        mixture.fit(own)
    return -mixture.score_samples(colours.reshape(-1, colours.shape[2])).reshape(where.shape)


def _neighbours(colours: Float[np.ndarray, "h w c"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(first, second, weight) of each pair of the eight-neighbourhood."""
    height, width = colours.shape[:2]
    number = np.arange(height * width).reshape(height, width)
    firsts, seconds, differences, distances = [], [], [], []
    for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
        rows = slice(0, height - down), slice(down, height)
        columns = (
            (slice(0, width - across), slice(across, width)) if across >= 0 else (slice(1, width), slice(0, width - 1))
        )
        firsts.append(number[rows[0], columns[0]].ravel())
        seconds.append(number[rows[1], columns[1]].ravel())
        differences.append(((colours[rows[0], columns[0]] - colours[rows[1], columns[1]]) ** 2).sum(2).ravel())
        distances.append(np.full(len(firsts[-1]), math.hypot(down, across)))
    squares = np.concatenate(differences)
    beta = 1 / max(2 * float(squares.mean()), 1e-9)
    weight = GAMMA * np.exp(-beta * squares) / np.concatenate(distances)
    return np.concatenate(firsts), np.concatenate(seconds), weight


def _cut(
    cost_inside: Float[np.ndarray, "h w"],
    cost_outside: Float[np.ndarray, "h w"],
    inside: Bool[np.ndarray, "h w"],
    outside: Bool[np.ndarray, "h w"],
    pairs: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> Bool[np.ndarray, "h w"]:
    """The mask of least energy: pixels on the source's side of a minimum cut. An edge from the source costs what calling the
    pixel background costs, an edge to the sink what calling it the object costs."""
    pixels = cost_inside.size
    source, sink = pixels, pixels + 1
    low = np.minimum(cost_inside, cost_outside)  # only differences matter; capacities must not be negative
    from_source = np.where(inside, np.inf, np.where(outside, 0.0, cost_outside - low)).ravel()
    to_sink = np.where(outside, np.inf, np.where(inside, 0.0, cost_inside - low)).ravel()
    first, second, weight = pairs
    numbers = np.arange(pixels)
    begin = np.concatenate([np.full(pixels, source), numbers, first, second])
    end = np.concatenate([numbers, np.full(pixels, sink), second, first])
    capacity = np.concatenate([from_source, to_sink, weight, weight])
    whole = np.minimum(capacity * _UNIT, _LARGEST).astype(np.int32)
    graph = csr_array(coo_array((whole, (begin, end)), shape=(pixels + 2, pixels + 2)))
    rest = graph - maximum_flow(graph, source, sink).flow
    rest.data[rest.data < 0] = 0
    rest.eliminate_zeros()
    reached = breadth_first_order(rest, source, directed=True, return_predecessors=False)
    mask = np.zeros(pixels + 2, dtype=bool)
    mask[reached] = True
    return mask[:pixels].reshape(inside.shape)


def _largest(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """The largest connected part."""
    parts, count = label(mask, structure=np.ones((3, 3)))
    if count < 2:
        return mask
    return parts == 1 + int(np.bincount(parts.ravel())[1:].argmax())


def overlap(mask: Bool[np.ndarray, "h w"], truth: Bool[np.ndarray, "h w"]) -> float:
    """Intersection over union; 1 where both are empty."""
    union = int((mask | truth).sum())
    return int((mask & truth).sum()) / union if union else 1.0
