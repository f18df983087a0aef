"""What every pipeline promises, whichever features and learner it is made of."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from sightline.classical.pipeline import Examples, Pipeline, Solving
from sightline.errors import UsageError
from sightline.models import MODELS, create_model
from sightline.models.catalogue import SOLVED

from .tiny_gratings import CLASSES, grating

SIDE = 24
SMALL: dict[str, dict[str, Any]] = {
    "bow_sift": {"words": 20, "samples": 2000},
    "colour_histogram": {"bins": 4},
    "fisher_svm": {"gaussians": 4, "dimensions": 16, "samples": 2000, "bits": 1, "group": 4},
    "gabor": {"directions": 4, "regions": 2},
    "hog_svm": {},
    "ica_filters": {"components": 8, "patches": 1000, "regions": 2},
    "kmeans_svm": {"words": 16, "patches": 1000},
    "leung_malik": {},
    "pca_knn": {"memory": 100},
    "pixels_svm": {},
    "sparse_coding_svm": {"words": 16, "patches": 1000, "iterations": 2},
    "viola_jones": {"candidates": 200, "stages": 3, "rounds": 5},
}
PAIRS = {"viola_jones"}  # of two classes only
BLIND = {"colour_histogram", "pca_knn", "pixels_svm"}  # cannot see the direction of a wave of any phase


def classes_of(name: str) -> int:
    return 2 if name in PAIRS else 3


def images(each: int, start: int = 0, classes: int = 3) -> tuple[Tensor, Tensor]:
    """(n, 3, h, w) in 0-1 and classes (n,)."""
    angles = list(CLASSES.values())[:classes]
    pixels = [grating(start + 1000 * c + i, angle, SIDE) for c, angle in enumerate(angles) for i in range(each)]
    label = torch.arange(classes).repeat_interleave(each)
    return torch.stack([torch.from_numpy(p).permute(2, 0, 1) for p in pixels]).float() / 255, label


def fresh(name: str, classes: int | None = None) -> Pipeline:
    classes = classes_of(name) if classes is None else classes
    return create_model(name, num_classes=classes, in_channels=3, image_size=(SIDE, SIDE), **SMALL[name])


def solving(name: str, pipeline: Pipeline) -> Solving:
    x, label = images(16, classes=classes_of(name))
    return Solving(pipeline, Examples(label, lambda places: x[places], 0, 5, 8, classes_of(name)))


@cache
def solved(name: str) -> Pipeline:
    pipeline = fresh(name)
    work = solving(name, pipeline)
    for chunk in range(len(work)):
        work.advance(chunk)
    return pipeline.eval()


def test_all_are_here() -> None:
    assert set(SMALL) == set(MODELS.matching(heading=SOLVED))


@pytest.mark.parametrize("name", SMALL)
def test_learns(name: str) -> None:
    x, label = images(8, start=500, classes=classes_of(name))
    with torch.no_grad():
        right = (solved(name)(x).argmax(1) == label).float().mean()
    assert right >= (0.2 if name in BLIND else 0.7)


@pytest.mark.parametrize("name", SMALL)
def test_what_it_learned_lies_in_buffers_of_fixed_shapes(name: str) -> None:
    before, after = fresh(name), solved(name)
    assert not list(after.parameters())
    shapes = [{key: (t.shape, t.dtype) for key, t in p.state_dict().items()} for p in (before, after)]
    assert shapes[0] == shapes[1]
    assert all(t.isfinite().all() for t in after.state_dict().values())
    before.load_state_dict(after.state_dict())
    x, _ = images(2, start=500)
    assert torch.equal(before.eval()(x), after(x))


@pytest.mark.parametrize("name", SMALL)
def test_goes_on_from_its_buffers_at_any_chunk(name: str) -> None:
    """A new object with the buffers after chunk k ends as the untouched one does, bit for bit."""
    for stop in range(1, len(solving(name, fresh(name)))):
        first, second = fresh(name), fresh(name)
        work = solving(name, first)
        for chunk in range(stop):
            work.advance(chunk)
        second.load_state_dict(first.state_dict())
        work = solving(name, second)
        for chunk in range(stop, len(work)):
            work.advance(chunk)
        for key, tensor in solved(name).state_dict().items():
            assert torch.equal(tensor, second.state_dict()[key]), (stop, key)
        if stop > 4:
            break


@pytest.mark.parametrize("name", SMALL)
def test_pixels_get_gradients(name: str) -> None:
    x = images(2, start=500)[0].requires_grad_()
    scores = solved(name)(x)
    scores.square().sum().backward()
    assert x.grad.isfinite().all()
    assert x.grad.abs().max() > 0


@pytest.mark.parametrize("name", SMALL)
def test_an_image_is_answered_alone_as_in_a_batch(name: str) -> None:
    x, _ = images(3, start=500)
    with torch.no_grad():
        together, alone = solved(name)(x), torch.cat([solved(name)(one[None]) for one in x])
    assert torch.allclose(together, alone, atol=1e-4)


@pytest.mark.parametrize("name", SMALL)
def test_vector_and_wrong_sizes(name: str) -> None:
    x, _ = images(1)
    vector = fresh(name, classes=0)(x)
    assert vector.shape == (len(x), fresh(name).channels[-1])
    with pytest.raises(UsageError, match="sees 24x24 pixels, these images have 20x24"):
        fresh(name)(x[:, :, :20])
    with pytest.raises(UsageError, match="channels"):
        fresh(name)(x[:, :1])


@pytest.mark.parametrize("name", SMALL)
def test_galleries_can_be_drawn(name: str) -> None:
    for gallery in solved(name).galleries():
        n, views, channels, height, width = gallery.tiles.shape
        assert n and height > 1 and width > 1 and channels in (1, 3)
        assert len(gallery.entries) in (0, n) and len(gallery.views) in (0, views)
        assert gallery.tiles.std() > 0
