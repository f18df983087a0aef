"""Integral images, Haar features, AdaBoost and the cascade."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from skimage.transform import integral_image
from torch import Tensor

from sightline.classical.features.haar import haar_features, integral, rectangle
from sightline.classical.learners.cascade import answers, best_stump
from sightline.classical.pipeline import Examples, Solving
from sightline.classical.scanning import scan
from sightline.errors import UsageError
from sightline.models import create_model
from sightline.models.solved.viola_jones import ViolaJones

SIDE = 12


def test_integral_image() -> None:
    x = torch.arange(1.0, 17.0).view(4, 4)
    table = integral(x)
    assert float(table[4, 4]) == 136
    assert float(rectangle(table, 1, 1, 3, 4)) == 54 == float(x[1:3, 1:4].sum())
    draw = torch.rand(7, 9, dtype=torch.float64)
    assert torch.allclose(integral(draw)[1:, 1:], torch.from_numpy(integral_image(draw.numpy())))


def test_features_are_rectangles_whose_weights_cancel() -> None:
    x = torch.rand(SIDE, SIDE, dtype=torch.float64)
    table = integral(x)
    features = haar_features(SIDE, 100_000)
    assert len({(f.rectangles, f.weights) for f in features}) == len(features) > 2_000
    for haar in features[::53]:
        template = haar.template(SIDE)
        by_corners = sum(weight * float(table[point]) for point, weight in haar.corners().items())
        assert by_corners == pytest.approx(float((torch.from_numpy(template) * x).sum()))
        if haar.weights != (1, -2, 1):
            assert template.sum() == 0
    assert len(haar_features(SIDE, 100)) == 100


def test_best_stump_is_the_best_of_all() -> None:
    draw = np.random.default_rng(0)
    values, face = draw.integers(0, 6, (40, 5)).astype(float), draw.random(40) < 0.4
    weight = draw.random(40)
    weight /= weight.sum()
    stump = best_stump(values, np.argsort(values, 0, kind="stable"), face, weight)
    errors = []
    for feature in range(5):
        for threshold in np.unique(values) + 0.5:
            for sign in (1, -1):
                wrong = (sign * (values[:, feature] - threshold) > 0) != face
                errors.append(weight[wrong].sum())
    assert stump.error == pytest.approx(min(errors))
    assert weight[(answers(values, stump) > 0) != face].sum() == pytest.approx(stump.error)


def windows(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """A bright bar over a dark one, against noise and against the same bars turned by 90°."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.rand(2 * n, 1, SIDE, SIDE, generator=draw)
    x[:n, :, 3:6, 2:10] += 0.3
    x[n : n + n // 2, :, 2:10, 3:6] += 0.3
    return x, torch.arange(2).repeat_interleave(n)


@cache
def cascade() -> ViolaJones:
    x, label = windows(300, seed=0)
    network = create_model(
        "viola_jones", num_classes=2, image_size=(SIDE, SIDE), candidates=400, stages=4, rounds=8, passing=0.3
    )
    work = Solving(network, Examples(label, lambda places: x[places], 0, 1, 32, 2))
    for chunk in range(len(work)):
        work.advance(chunk)
    return network


def test_cascade_detects_and_later_stages_see_fewer() -> None:
    x, label = windows(300, seed=1)
    with torch.no_grad():
        found = cascade()(x).argmax(1) == 0
        passed = (cascade().learner.margins(cascade().encoder(x)) >= 0).float()
    assert found[label == 0].float().mean() > 0.9 and found[label == 1].float().mean() < 0.1
    alive = passed.cumprod(1)[label == 1].mean(0)
    assert alive[0] < 0.5 and (alive.diff() <= 0).all()


def test_scan_finds_the_pattern_and_rejects_early() -> None:
    draw = torch.Generator().manual_seed(5)
    image = torch.rand(1, 60, 70, generator=draw)
    image[:, 25:31, 40:56] += 0.4  # twice as large, its window at (36, 19) to (60, 43)
    early, late = scan(cascade(), image), scan(cascade(), image, early=False)
    assert (np.abs(early.boxes - [36, 19, 60, 43]).max(1) <= 6).any()
    assert len(early.boxes) < 0.3 * early.windows
    assert np.array_equal(early.boxes, late.boxes) and np.allclose(early.scores, late.scores)
    assert early.windows == late.windows and early.features < 0.6 * late.features


def test_scan_answers_as_the_network() -> None:
    x, _ = windows(20, seed=2)
    with torch.no_grad():
        expected = cascade()(x).argmax(1) == 0
    found = [len(scan(cascade(), one).boxes) > 0 for one in x]
    assert found == expected.tolist()


def test_what_it_cannot_be() -> None:
    with pytest.raises(UsageError, match="two classes apart, not 3"):
        create_model("viola_jones", num_classes=3)
    with pytest.raises(UsageError, match="no square"):
        create_model("viola_jones", image_size=(24, 20))
    with pytest.raises(UsageError, match="use a run of viola_jones"):
        scan(create_model("hog_svm"), torch.zeros(1, 40, 40))
