"""Elastic distortion: displacements as large and smooth as stated, and targets that stay with their pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from sightline.augmentation.elastic import Elastic, _along, gaussian
from sightline.augmentation.presets import preset
from sightline.errors import UsageError
from sightline.structures.batch import Batch
from sightline.structures.masks import extents
from sightline.structures.targets import Boxes, Masks
from tests.augmented import SIDE, batch_of

torch.set_num_threads(1)


def squares(n: int) -> tuple[Batch, torch.Tensor]:
    """A bright square in the middle of each image, and its box."""
    batch = batch_of(list(range(n)), full=True)
    batch.image.zero_()
    batch.image[:, :, 6:16, 8:18] = 200
    return batch, torch.tensor([[8.0, 6.0, 18.0, 16.0]]).repeat(n, 1)


def test_displacements_have_the_stated_deviation_and_are_smooth() -> None:
    field = Elastic(sigma=2.0, deviation=1.5).field(batch_of(list(range(400)), full=True), 3)
    middle = field[:, :, 8:16, 8:16]  # nearer to the border less noise comes in
    assert middle.std().item() == pytest.approx(1.5, rel=0.05)
    assert abs(middle.mean().item()) < 0.1
    steps = (field[:, :, :, 1:] - field[:, :, :, :-1])[:, :, 8:16, 8:16].std().item()
    assert steps == pytest.approx(1.5 / (2.0 * np.sqrt(2)), rel=0.1)  # deviation of the derivative of such a field


def test_the_smoothing_is_scipys() -> None:
    noise = torch.rand(1, 2, 20, 20)
    ours = _along(_along(noise, gaussian(2.0), 3), gaussian(2.0), 2)[0, 0].numpy()
    theirs = gaussian_filter(noise[0, 0].numpy(), 2.0, mode="constant", truncate=3.0)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_masks_and_boxes_stay_with_their_pixels() -> None:
    batch, boxes = squares(60)
    index = (batch.image[:, 0] > 0).long()
    masks = Elastic(2.0, 1.0)(batch.with_pixels(target=Masks(index)), 0)
    assert isinstance(masks.target, Masks)
    bright = masks.image[:, 0] > 150
    assert (masks.target.index[bright] == 1).float().mean() > 0.98
    target = Boxes(boxes, torch.zeros(60, dtype=torch.int64), torch.arange(60))
    moved = Elastic(2.0, 1.0)(batch.with_pixels(target=target), 0)
    assert isinstance(moved.target, Boxes)
    for box, row in zip(moved.target.boxes, moved.target.sample, strict=True):
        # a pixel whose four sources are inside is 200, one whose nearest source is inside is above 0
        sure, possible = (extents((moved.image[row] >= least).any(0)[None])[0] for least in (200, 1))
        assert (possible[:2] <= box[:2]).all() and (box[:2] <= sure[:2]).all()
        assert (sure[2:] <= box[2:]).all() and (box[2:] <= possible[2:]).all()
    assert not torch.equal(moved.target.boxes, boxes)


def test_large_images_are_refused_with_the_way_out() -> None:
    with pytest.raises(UsageError, match="up to 128 pixels"):
        preset("elastic", flip=False, size=224)
    assert preset("elastic", flip=False, size=SIDE)
