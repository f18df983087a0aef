"""What the experiments about seeing stand on: views at test time, kernels, advice on metrics, a digit on a canvas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sightline.augmentation.views import mean_probability, ten_crop, two_flips
from sightline.errors import UsageError
from sightline.lab.advice import CASES, advise, best_threshold, expected_cost
from sightline.lab.datasets import Labelled
from sightline.lab.seeing.canvas import anywhere, placed, shifted
from sightline.lab.seeing.crowds import LARGE, SIDE, SMALL, scenes
from sightline.lab.seeing.heads import head
from sightline.lab.seeing.kernels import KERNELS, image_kernel
from sightline.layers.convolution.pooling import max_pool
from sightline.structures.boxes import iou
from sightline.structures.targets import Boxes


def test_ten_crops_stand_where_they_should() -> None:
    x = torch.arange(2 * 3 * 7 * 6.0).view(2, 3, 7, 6)
    views = ten_crop(x, 4)
    assert views.shape == (2, 10, 3, 4, 4)
    for crop, (top, left) in enumerate([(0, 0), (0, 2), (3, 0), (3, 2), (2, 1)]):
        assert torch.equal(views[:, crop], x[:, :, top : top + 4, left : left + 4])
        assert torch.equal(views[:, crop + 5], views[:, crop].flip(3))
    assert torch.equal(two_flips(x)[:, 1], x.flip(3))
    for side in (0, 7):
        with pytest.raises(UsageError, match="use 1 to 6"):
            ten_crop(x, side)


def test_views_are_averaged_as_probabilities() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    views = torch.randn(5, 2, 1, 2, 2)
    expected = (network(views[:, 0]).softmax(1) + network(views[:, 1]).softmax(1)) / 2
    assert torch.allclose(mean_probability(network, views), expected)


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_keep_brightness_or_remove_it(name: str) -> None:
    total = image_kernel(name).sum().item()
    assert min(abs(total), abs(total - 1)) < 1e-6 or name == "gauss3_unnormalised"


def test_the_fifth_pooling_table_and_a_little_shift() -> None:
    table = torch.tensor([[1.0, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]])[None, None]
    assert max_pool(table, 2, stride=2)[0, 0].tolist() == [[6, 8], [3, 4]]
    spot = torch.zeros(1, 1, 8, 8)
    spot[0, 0, 2, 4] = 1
    inside, outside = spot.roll(1, 3), spot.roll(-1, 3)  # within its window of four, and out of it
    assert torch.equal(max_pool(spot, 4, stride=4), max_pool(inside, 4, stride=4))
    assert not torch.equal(max_pool(spot, 4, stride=4), max_pool(outside, 4, stride=4))


def test_advice_follows_the_costs() -> None:
    assert {case.metric for case in CASES} == {"recall", "precision", "accuracy", "f1"}
    for case in CASES:
        assert advise(case.miss, case.false_alarm, case.share).metric == case.metric, case.name
    assert advise(99, 1, 0.5).threshold == pytest.approx(0.01)
    assert advise(4, 1, 0.5).beta == 2
    positive, probability = np.array([True, False, False]), np.array([0.4, 0.3, 0.1])
    assert expected_cost(positive, probability >= 0.35, miss=9, false_alarm=1) == 0
    assert expected_cost(positive, probability >= 0.5, miss=9, false_alarm=3) == 3
    assert 0.3 < best_threshold(positive, probability, miss=9, false_alarm=1) <= 0.4


def test_a_digit_keeps_its_ink_on_a_canvas() -> None:
    data = Labelled(torch.rand(6, 1, 8, 8), torch.arange(6))
    assert torch.equal(placed(data, 12, (1, 3)).x[..., 1:9, 3:11], data.x)
    everywhere = anywhere(data, 12, seed=1)
    assert torch.allclose(everywhere.x.sum((1, 2, 3)), data.x.sum((1, 2, 3)))
    assert len({tuple(map(tuple, (x > 0).nonzero().tolist())) for x in everywhere.x}) > 1
    moved = shifted(placed(data, 12, (2, 2)), -1, 2)
    assert torch.equal(moved.x, placed(data, 12, (1, 4)).x)


def test_heads_are_functions_of_their_seed() -> None:
    """The hair is a part of the picture of its own colour, and the coat may have that colour too."""
    (picture, mask), (again, _) = head((0, 5)), head((0, 5))
    assert np.array_equal(picture, again) and not np.array_equal(picture, head((0, 6))[0])
    assert 0.05 < mask.mean() < 0.4
    dyed, same = head((0, 5), hair=(20, 20, 220))
    assert np.array_equal(mask, same)
    assert dyed[mask, 2].mean() > picture[mask, 2].mean() + 50


def test_scenes_of_objects_apart_and_crowded() -> None:
    for sides, crowded in ((LARGE, False), (SMALL, False), (LARGE, True)):
        batch = scenes(range(12), 0, [(sides, crowded)])
        assert isinstance(batch.target, Boxes)
        boxes, sample = batch.target.boxes, batch.target.sample
        assert torch.bincount(sample).tolist() == [4] * 12
        assert bool((boxes >= 0).all()) and bool((boxes <= SIDE).all())
        overlap = iou(boxes, boxes) * (sample[:, None] == sample[None]) * ~torch.eye(len(boxes), dtype=torch.bool)
        most = overlap.max(1).values
        assert bool((most > 0.1).all() if crowded else (most == 0).all()), (sides, crowded)
        extent = boxes[:, 2:] - boxes[:, :2]
        assert int(extent.min()) >= sides[0] and int(extent.max()) <= sides[1]
