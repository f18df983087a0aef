"""HOG against scikit-image's, its lengths, and its gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.feature import hog

from sightline.classical.features.hog import Hog, glyphs
from sightline.errors import UsageError


def picture(height: int, width: int, channels: int, seed: int = 0) -> np.ndarray:
    """Multiples of 1/256, whose differences are exact: both see the same angles."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels)) / 256


@pytest.mark.parametrize(("norm", "theirs"), [("l1", "L1"), ("l1_sqrt", "L1-sqrt"), ("l2", "L2"), ("l2_hys", "L2-Hys")])
@pytest.mark.parametrize(("channels", "root"), [(1, False), (3, False), (1, True)])
def test_equals_scikit_image(norm: str, theirs: str, channels: int, root: bool) -> None:
    pixels = picture(43, 53, channels)  # the last rows and columns fill no cell
    expected = hog(
        pixels if channels == 3 else pixels[..., 0], orientations=9, pixels_per_cell=(8, 8), cells_per_block=(2, 2),
        block_norm=theirs, transform_sqrt=root, channel_axis=-1 if channels == 3 else None,
    )  # fmt: skip
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    vector = Hog(norm=norm, root=root, soft=False)(x)
    assert vector.shape == (1, Hog().size(43, 53)) == (1, len(expected))
    assert np.abs(vector[0].numpy() - expected).max() < 1e-6


def test_length_of_a_320_x_240_image() -> None:
    assert Hog(block=1, norm="none").size(240, 320) == 10_800
    assert Hog(block=1, norm="none").grid(240, 320) == (30, 40)


def test_soft_votes_are_shared_by_the_nearest_directions() -> None:
    """A ramp whose gradient points 25° from the columns to the rows: between the centres 10° and 30°."""
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")
    ramp = (x * math.cos(math.radians(25)) + y * math.sin(math.radians(25))) / 100
    cell = Hog(norm="none", block=1).histograms(ramp[None, None])[0, 1, 1]
    assert torch.allclose(cell[:2] / cell.sum(), torch.tensor([0.25, 0.75]), atol=1e-3)
    assert cell[2:].abs().max() == 0


def test_gradients_are_right_and_finite_on_flat_images() -> None:
    x = torch.from_numpy(picture(8, 8, 1, seed=3)).permute(2, 0, 1)[None]
    assert torch.autograd.gradcheck(Hog(cell=4), (x.requires_grad_(),), eps=1e-7, atol=1e-4)
    flat = torch.full((1, 3, 16, 16), 0.5, requires_grad=True)
    Hog(root=True)(flat).sum().backward()
    assert flat.grad.isfinite().all()


def test_too_small() -> None:
    with pytest.raises(UsageError, match="smaller than a block of HOG, 16x16"):
        Hog()(torch.zeros(1, 1, 15, 40))


def test_cells_add_up_blocks_and_glyphs_lie_along_edges() -> None:
    hog_ = Hog()
    cells = hog_.of_cells(np.ones(hog_.size(32, 32)), 32, 32)
    assert cells[:, :, 0].tolist() == [[1, 2, 2, 1], [2, 4, 4, 2], [2, 4, 4, 2], [1, 2, 2, 1]]
    cell = np.zeros((1, 1, 9))
    cell[0, 0, 4] = 1.0  # the gradient points down: the edge lies across
    drawn = glyphs(cell, side=15)
    assert drawn[7].min() > 0.5 and drawn[:, 7].sum() < 4


def test_smooth_cells_share_votes_and_keep_their_sum() -> None:
    """One edge in the middle of a cell votes for it alone; at the border between two cells, for both alike."""
    x = torch.zeros(2, 1, 16, 16)
    x[0, :, :, 6:] = 0.1  # the gradients lie in columns 5 and 6, around the middle of the second cell of 4
    x[1, :, :, 8:] = 0.1  # in columns 7 and 8, around a border
    cells = Hog(cell=4, block=1, norm="none", smooth=True).histograms(x).sum(3)[:, 1]  # a row of cells
    assert cells[0, 1] > 4 * cells[0, 0] and torch.allclose(cells[0, 0], cells[0, 2])
    assert torch.allclose(cells[1, 1], cells[1, 2]) and cells[1, 0] < 0.2 * cells[1, 1]
    hard = Hog(cell=4, block=1, norm="none").histograms(x).sum(3)[:, 1]
    assert torch.allclose(cells.sum(1), hard.sum(1), rtol=1e-4)
    with pytest.raises(UsageError, match="cells of 3 pixels"):
        Hog(cell=3, smooth=True)
