"""Distances between sets of features equal torch-fidelity's on the same features."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sightline.errors import UsageError
from sightline.metrics import coverage, frechet_distance, kernel_distance, memorised, nearest, precision_recall


def two_sets(n: int = 300, m: int = 200, d: int = 16) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    mixing = draw.normal(size=(d, d)) / d**0.5
    return draw.normal(size=(n, d)) @ mixing, 0.8 * draw.normal(size=(m, d)) @ mixing + 0.3


@pytest.mark.parametrize(("n", "d"), [(300, 16), (300, 64), (300, 1)])
def test_frechet_distance(n: int, d: int) -> None:
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

    made, real = two_sets(n, 200, max(d, 2))
    theirs = fid_statistics_to_metric(
        *(fid_features_to_statistics(torch.from_numpy(one)) for one in (made, real)), verbose=False
    )
    assert frechet_distance(made, real) == pytest.approx(theirs[KEY_METRIC_FID], rel=1e-6)


def test_kernel_distance() -> None:
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    made, real = two_sets(200, 200)
    settings = {"kid_subsets": 1, "kid_subset_size": 200, "verbose": False}
    theirs = kid_features_to_metric(*(torch.from_numpy(one) for one in (made, real)), **settings)
    assert kernel_distance(made, real) == pytest.approx(theirs[KEY_METRIC_KID_MEAN], rel=1e-9)


def test_kernel_distance_of_unequal_sets_is_the_mean_over_pairs() -> None:
    made, real = two_sets(7, 5, 3)

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 3 + 1) ** 3)

    own = np.mean([kernel(made[i], made[j]) for i in range(7) for j in range(7) if i != j])
    other = np.mean([kernel(real[i], real[j]) for i in range(5) for j in range(5) if i != j])
    cross = np.mean([kernel(a, b) for a in made for b in real])
    assert kernel_distance(made, real) == pytest.approx(own + other - 2 * cross, rel=1e-9)


def test_precision_and_recall() -> None:
    from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

    made, real = two_sets()
    theirs = prc_features_to_metric(*(torch.from_numpy(one) for one in (made, real)), verbose=False)
    assert precision_recall(made, real) == pytest.approx((theirs[KEY_METRIC_PRECISION], theirs[KEY_METRIC_RECALL]))


def test_a_set_is_at_distance_zero_from_itself() -> None:
    made, _ = two_sets()
    assert frechet_distance(made, made) == pytest.approx(0, abs=1e-9)
    assert precision_recall(made, made) == (1, 1)


def test_shrinkage_brings_a_distance_of_few_samples_near_that_of_many() -> None:
    draw = np.random.default_rng(1)
    few, real = draw.normal(size=(40, 64)), draw.normal(size=(40, 64))
    assert frechet_distance(few, real, shrinkage=0.9) < 0.2 * frechet_distance(few, real)


def test_repeated_training_images_are_memorised_and_others_are_not() -> None:
    draw = np.random.default_rng(2)
    train, held_out, others = (draw.normal(size=(400, 8)) for _ in range(3))
    assert memorised(train[:100] + 1e-3, train, held_out) == 1
    assert memorised(others, train, held_out) < 0.05
    assert (nearest(train[5:8], train).reference == [5, 6, 7]).all() and (
        nearest(train[5:8], train).distance == 0
    ).all()


def test_modes_are_counted() -> None:
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    points = np.concatenate([centres[[0] * 50] + 0.1, centres[[1] * 48], [[5.0, 5.0], [0.0, 10.0]]])
    found = coverage(points, centres, 1.0)
    assert found.counts.tolist() == [50, 48, 1] and found.good == 0.99 and found.reached == 2


@pytest.mark.parametrize("shapes", [((5, 3), (5, 4)), ((5,), (5, 3)), ((1, 3), (5, 3))])
def test_features_of_other_shapes_are_refused(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(UsageError):
        frechet_distance(*(np.zeros(shape) for shape in shapes))
