"""Poisson blending: gradients of the source inside, the target outside, and no seam."""

from __future__ import annotations

import numpy as np
import pytest

from sightline.errors import UsageError
from sightline.metrics.generation.seams import seam_ratio
from sightline.sampling.poisson import poisson_blend


def _pictures() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    y, x = np.mgrid[:24, :30]
    target = np.stack([90 + x, 120 + 0.5 * y, 100 + 0 * x], 2) + draw.normal(0, 1, (24, 30, 3))
    region = (x - 15) ** 2 + (y - 12) ** 2 < 60
    return target, draw.uniform(0, 255, target.shape), region


def test_a_source_that_differs_by_a_constant_keeps_its_gradients_and_takes_the_colour_of_the_target() -> None:
    target, _, region = _pictures()
    assert np.abs(poisson_blend(target + np.array([50.0, -20, 7]), target, region) - target).max() < 1e-9


def test_inside_the_laplacian_is_that_of_the_source_and_outside_nothing_changes() -> None:
    target, source, region = _pictures()
    made = poisson_blend(source, target, region)
    assert np.array_equal(made[~region], target[~region]), "outside every pixel is the target's"

    def laplacian(image: np.ndarray) -> np.ndarray:
        inner = image[1:-1, 1:-1]
        return 4 * inner - image[:-2, 1:-1] - image[2:, 1:-1] - image[1:-1, :-2] - image[1:-1, 2:]

    within = region[1:-1, 1:-1]
    assert np.abs((laplacian(made) - laplacian(source))[within]).max() < 1e-9


def test_a_region_at_the_edge_of_the_picture_has_fewer_neighbours() -> None:
    target, _, _ = _pictures()
    region = np.zeros(target.shape[:2], bool)
    region[:10, :12] = True
    assert np.abs(poisson_blend(target - 30, target, region) - target).max() < 1e-9
    empty = poisson_blend(target - 30, target, np.zeros_like(region))
    assert np.array_equal(empty, target)


def test_mixed_gradients_keep_the_texture_of_the_target() -> None:
    target, _, region = _pictures()
    flat = np.full_like(target, 128.0)
    plain, mixed = (poisson_blend(flat, target, region, mixed=mixed) for mixed in (False, True))
    step = [np.abs(np.diff(image, axis=1))[region[:, 1:]].mean() for image in (plain, mixed, target)]
    assert step[0] < 0.75 * step[2] and step[1] == pytest.approx(step[2], rel=1e-6), step


def test_the_seam_is_visible_in_a_paste_and_not_after_blending() -> None:
    target, _, region = _pictures()
    source = target + 40
    pasted = np.where(region[..., None], source, target)
    assert seam_ratio(pasted, region) > 5
    assert 0.8 < seam_ratio(poisson_blend(source, target, region), region) < 1.2
    assert np.isnan(seam_ratio(target, np.zeros_like(region)))


def test_pictures_that_cannot_be_blended_are_named() -> None:
    target, source, region = _pictures()
    with pytest.raises(UsageError, match="differ in size"):
        poisson_blend(source[1:], target, region)
    with pytest.raises(UsageError, match="covers the whole picture"):
        poisson_blend(source, target, np.ones_like(region))
