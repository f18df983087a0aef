"""A mask from saliency seeds: the cut is the minimum, and an object is found by its colours."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

from sightline.explanation.attribution.segmentation import _cut, _neighbours, object_mask, overlap, segmentation
from sightline.explanation.subject import subject_of


@pytest.mark.parametrize("seed", range(12))
def test_the_cut_is_the_minimum(seed: int) -> None:
    """Against all 2⁹ masks of nine pixels, with and without seeds."""
    rng = np.random.default_rng(seed)
    first, second, weight = pairs = _neighbours(rng.uniform(0, 255, (3, 3, 3)))
    assert len(first) == 20  # 6 + 6 sides, 4 + 4 diagonals
    inside_cost, outside_cost = rng.normal(0, 40, (2, 3, 3))
    inside, outside = np.zeros((3, 3), bool), np.zeros((3, 3), bool)
    if seed % 2:
        inside[0, 0] = outside[2, 1] = True

    def energy(mask: np.ndarray) -> float:
        flat = mask.ravel()
        own = np.where(mask, inside_cost, outside_cost)[~(inside | outside)].sum()
        return float(own + weight[flat[first] != flat[second]].sum())

    every = [np.array(bits).reshape(3, 3) for bits in product((False, True), repeat=9)]
    allowed = [mask for mask in every if mask[inside].all() and not mask[outside].any()]
    found = _cut(inside_cost, outside_cost, inside, outside, pairs)
    assert found[inside].all() and not found[outside].any()
    assert energy(found) == pytest.approx(min(map(energy, allowed)), abs=0.05)  # capacities are thousandths


def _scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A textured disc on a textured ground (h, w, 3), and its mask."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:48, :56]
    disc = (y - 20) ** 2 + (x - 30) ** 2 <= 13**2
    ground = np.where((x // 4 + y // 4)[..., None] % 2, (70, 120, 60), (110, 150, 90))
    own = np.where((y // 3)[..., None] % 2, (190, 60, 40), (220, 120, 60))
    return np.clip(np.where(disc[..., None], own, ground) + rng.normal(0, 12, (48, 56, 3)), 0, 255), disc


@pytest.mark.parametrize("seed", range(3))
def test_an_object_is_found_from_a_part_of_it(seed: int) -> None:
    colours, disc = _scene(seed)
    y, x = np.mgrid[:48, :56]
    heat = np.exp(-((y - 18) ** 2 + (x - 27) ** 2) / 60) + 0.05 * np.random.default_rng(seed).random((48, 56))
    seeds = heat >= np.quantile(heat, 0.95)
    found = object_mask(colours, heat)
    assert overlap(seeds, disc) < 0.5 < 0.9 < overlap(found, disc)
    assert not object_mask(colours, np.zeros((48, 56))).any()
    grey = colours[..., :1]
    assert overlap(object_mask(grey, heat), disc) > 0.6


def test_a_classifier_outlines_what_it_looks_at() -> None:
    """Its score is the redness of a part of the disc."""
    colours, disc = _scene(4)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 48 * 56, 2))
    with torch.no_grad():
        network[1].weight.zero_()
        network[1].weight.view(2, 3, 48, 56)[1, 0, 12:24, 24:34] = 1.0
    pixels = torch.from_numpy(colours).float().permute(2, 0, 1)[None]
    found = segmentation(subject_of(network), pixels, torch.tensor([1]))
    assert set(found.values.unique().tolist()) == {0.0, 1.0} and found.values.shape == (1, 1, 48, 56)
    assert overlap(found.map[0].numpy() > 0, disc) > 0.85
    nothing = segmentation(subject_of(network), pixels, torch.tensor([0]))
    assert not nothing.map.any() and "no seeds" in nothing.notes[0]
