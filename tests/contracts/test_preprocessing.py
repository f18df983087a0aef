"""Normalisation, its statistics, and the one object that a run keeps."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sightline.errors import DamagedError, UsageError
from sightline.preprocessing.geometry import Geometry
from sightline.preprocessing.normalise import Normalise, Normalised, PixelStatistics
from sightline.preprocessing.saved import Preprocessing
from tests.handmade import png_of

MEAN, STD = (120.5, 117.25, 104.0), (58.0, 57.5, 61.25)
KEPT = Preprocessing(Geometry(8, 9, "letterbox", pad=3), MEAN, STD, background=(1, 2, 3))


def pictures(n: int = 7, channels: int = 3) -> Tensor:
    return torch.from_numpy(np.random.default_rng(n).integers(0, 256, (n, channels, 5, 6), dtype=np.uint8))


# ------------------------------------------------------------------------------------------------------- normalisation
def test_normalise_is_the_formula_for_bytes_and_floats() -> None:
    x = pictures()
    y = Normalise(MEAN, STD)(x)
    expected = (x.numpy().astype(float) - np.reshape(MEAN, (1, 3, 1, 1))) / np.reshape(STD, (1, 3, 1, 1))
    assert y.dtype == torch.float32
    assert np.abs(y.numpy() - expected).max() < 1e-6
    assert torch.equal(y, Normalise(MEAN, STD)(x.float()))


def test_normalise_is_differentiable_in_pixel_units() -> None:
    x = pictures().float().requires_grad_()
    Normalise(MEAN, STD)(x).sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad, (1 / torch.tensor(STD)).view(1, 3, 1, 1).expand_as(x))


@pytest.mark.parametrize("memory", [torch.channels_last, torch.contiguous_format])
def test_memory_format_stays(memory: torch.memory_format) -> None:
    x = pictures().to(memory_format=memory)
    assert Normalise(MEAN, STD)(x).stride() == x.stride()
    assert Normalise(MEAN, STD)(x.float()).is_contiguous(memory_format=memory)


def test_buffers_are_state_and_follow_the_type() -> None:
    module = Normalise(MEAN, STD)
    assert set(module.state_dict()) == {"mean", "std"}
    assert list(module.parameters()) == []
    assert module.double()(pictures()).dtype == torch.float64


@pytest.mark.parametrize(
    ("mean", "std"),
    [((1.0,), (0.0,)), ((1.0,), (-1.0,)), ((math.nan,), (1.0,)), ((1.0,), (math.inf,)), ((1.0,), ()), ((), ())],
)
def test_impossible_normalisations_are_refused(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"mean|std|deviations"):
        Normalise(mean, std)


class Region(nn.Module):
    def forward(
        self, image: Tensor, size: Tensor, targets: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        return image, size, targets


def test_normalised_hands_everything_else_through() -> None:
    network, x, size = Region(), pictures(), torch.ones(7, 2)
    whole = Normalised(Normalise(MEAN, STD), network)
    assert whole.network is network
    image, given_size, targets = whole(x, size, targets=size)
    assert torch.equal(image, whole.normalise(x))
    assert given_size is size
    assert targets is size
    assert whole(x, size)[2] is None


# ---------------------------------------------------------------------------------------------------------- statistics
@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.sampled_from((1, 3)), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_statistics_are_exact_and_know_no_order(chunks: list[int], channels: int, random: Any) -> None:
    x = pictures(sum(chunks), channels)
    whole, parts = PixelStatistics(channels), PixelStatistics(channels)
    whole.add(x)
    shuffled = list(x.split(chunks))
    random.shuffle(shuffled)
    for part in shuffled:
        parts.add(part.contiguous(memory_format=torch.channels_last))
    assert (parts.mean(), parts.std()) == (whole.mean(), whole.std())
    values = x.numpy().astype(np.float64)
    assert np.allclose(whole.mean(), values.mean((0, 2, 3)), rtol=1e-13)
    assert np.allclose(whole.std(), values.std((0, 2, 3)), rtol=1e-12)


def test_a_constant_channel_is_divided_by_one() -> None:
    statistics = PixelStatistics(1)
    statistics.add(torch.full((3, 1, 4, 4), 77, dtype=torch.uint8))
    assert (statistics.mean(), statistics.std()) == ((77.0,), (1.0,))


def test_statistics_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="no image"):
        PixelStatistics(3).mean()


# --------------------------------------------------------------------------------------------------------------- saved
def test_what_is_saved_comes_back() -> None:
    stored = json.loads(json.dumps(KEPT.to_json()))
    assert Preprocessing.from_json(stored) == KEPT
    assert stored["version"] == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 2}, "version 2"),
        ({"version": None}, "version None"),
        ({"format": "something"}, "format is 'something'"),
        ({"surprise": 1}, "surprise"),
        ({"geometry": {**KEPT.to_json()["geometry"], "tilt": 3}}, "tilt"),
        ({"geometry": {"height": 8}}, "fit"),
        ({"geometry": [8, 9]}, "geometry is a list of 2, not an object"),
        ({"geometry": {**KEPT.to_json()["geometry"], "fit": "squeeze"}}, "squeeze"),
        ({"geometry": {**KEPT.to_json()["geometry"], "height": 8.5}}, "geometry.height is 8.5, not a whole number"),
        ({"geometry": {**KEPT.to_json()["geometry"], "height": "8"}}, "preprocessing.json"),
        ({"mean": [1.0]}, "1 means"),
        ({"std": [1.0, 1.0, 0.0]}, "above 0"),
        ({"std": [1.0, 1.0, None]}, "preprocessing.json"),
        ({"channels": 4}, "channels is 4"),
        ({"background": [1, 2]}, "background is a list of 2, not a list of 3"),
        ({"background": [1, 2, 256]}, r"background\[2\] is 256, not a whole number from 0 to 255"),
        ({"background": "red"}, "background is 'red', not a list of 3"),
    ],
)
def test_what_was_not_saved_by_us_is_damaged(change: dict[str, Any], words: str) -> None:
    with pytest.raises(DamagedError, match=words):
        Preprocessing.from_json({**KEPT.to_json(), **change})


def test_missing_keys_are_damage() -> None:
    stored = KEPT.to_json()
    for name in list(stored):
        with pytest.raises(DamagedError):
            Preprocessing.from_json({k: v for k, v in stored.items() if k != name})


def test_prepare_is_decode_and_geometry(tmp_path: Path) -> None:
    alpha = np.zeros((4, 8), dtype=int)
    path = tmp_path / "clear.png"
    path.write_bytes(png_of(np.dstack([alpha, alpha]), 8, 4))  # wholly transparent
    pixels, frame, decoded = KEPT.prepare(path)
    assert pixels.shape == (8, 9, 3)
    assert (decoded.pixels == (1, 2, 3)).all()  # the background
    assert np.array_equal(pixels, KEPT.geometry.apply(decoded.pixels)[0])
    assert np.array_equal(frame, KEPT.geometry.apply(decoded.pixels)[1])
    assert torch.equal(KEPT.normaliser().mean, torch.tensor(MEAN))


def test_channels_and_statistics_must_agree() -> None:
    with pytest.raises(UsageError, match="3 means and 3 standard deviations for 1 channels"):
        Preprocessing(Geometry(8, 8), MEAN, STD, channels=1)
