"""Corners, cuts, and matches between pictures."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from skimage.data import camera
from skimage.transform import rotate

from sightline.classical.corners import eigenvalues, response
from sightline.classical.cuts import affinities, cut_cost, normalised_cut, second_vector
from sightline.classical.matching import fitted_homography, match, match_picture, moved, ransac
from sightline.errors import DataError

PLANE = np.array([[0.9, -0.2, 12.0], [0.15, 1.1, -7.0], [4e-4, -2e-4, 1.0]])


def test_eigenvalues_of_flat_edge_and_corner() -> None:
    flat, edge, corner = torch.zeros(5, 5), torch.zeros(5, 5), torch.zeros(5, 5)
    edge[:, 2:] = 1
    corner[2:, 2:] = 1
    assert [(eigenvalues(patch) > 1e-6).sum().item() for patch in (flat, edge, corner)] == [0, 1, 2]
    assert response(corner) > 0 > response(edge)
    turned = torch.rot90(corner)
    assert torch.allclose(eigenvalues(corner), eigenvalues(turned), atol=1e-7)


def test_cut_vector_solves_the_generalised_problem() -> None:
    image = np.zeros((8, 9))
    image[2:6, 3:8] = 1
    image += np.random.default_rng(0).normal(0, 0.02, image.shape)
    weight = affinities(image, sigma=0.3)
    total = np.diag(weight.sum(1))
    values, vectors = scipy.linalg.eigh(total - weight, total)
    ours, theirs = second_vector(weight), vectors[:, 1]
    assert min(np.abs(ours - theirs).max(), np.abs(ours + theirs).max()) < 1e-8
    assert values[1] > 1e-9
    part = normalised_cut(image, sigma=0.3)
    inside = image > 0.5
    assert (part == inside).all() or (part != inside).all()
    half = np.zeros(inside.size, bool)
    half[: inside.size // 2] = True
    assert cut_cost(weight, inside.ravel()) < 0.5 * cut_cost(weight, half)


def test_homography_is_recovered_among_wrong_pairs() -> None:
    draw = np.random.default_rng(0)
    first = draw.uniform(0, 200, (60, 2))
    second = moved(first, PLANE)
    assert np.allclose(fitted_homography(first, second), PLANE, atol=1e-8)
    second[:25] = draw.uniform(0, 200, (25, 2))
    matrix, inlier = ransac(first, second, seed=1)
    assert matrix is not None and np.allclose(matrix, PLANE, atol=1e-6)
    assert inlier[25:].all() and inlier[:25].sum() <= 1
    assert ransac(first[:3], second[:3]) == (None, pytest.approx(np.zeros(3, bool)))


def test_matches_survive_a_rotation() -> None:
    image = camera()[100:260, 150:310] / 255
    turned = rotate(image, 30, resize=False, mode="reflect")
    found = match(image, turned)
    angle = np.radians(30)
    centre = np.array([79.5, 79.5])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    expected = (found.first - centre) @ turn.T + centre
    right = np.hypot(*(found.second - expected).T) < 3
    assert found.inlier.sum() >= 15 and right[found.inlier].mean() > 0.9
    colour = np.repeat((image * 255).astype(np.uint8)[..., None], 3, 2)
    assert match_picture(colour, colour, found).shape == (160, 320, 3)


def test_a_flat_image_has_no_keypoints() -> None:
    with pytest.raises(DataError, match="no keypoints"):
        match(np.zeros((64, 64)), np.zeros((64, 64)))
