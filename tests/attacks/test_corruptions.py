"""Corruptions and controlled change: beside imagecorruptions, keyed, on any size, and grey."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from sightline.attacks.changes import CHANGES, change
from sightline.attacks.corruptions.catalogue import CORRUPTIONS, SEVERITIES, corrupt
from sightline.errors import UsageError
from tests.attacks.published import Replayed, imagecorruptions

RANDOM = [name for name in CORRUPTIONS if CORRUPTIONS[name].random]
REPLAYED = [name for name in RANDOM if name not in ("frost", "impulse_noise")]  # other ice, and another generator
DETERMINISTIC = [name for name in CORRUPTIONS if not CORRUPTIONS[name].random]


def photograph(height: int = 48, width: int = 40, channels: int = 3) -> np.ndarray:
    """Smooth shapes with edges, from black to white."""
    draws = np.random.default_rng(3)
    smooth = ndimage.gaussian_filter(draws.normal(size=(height, width, channels)), (4, 4, 0))
    image = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    image[height // 4 : height // 2, width // 4 : width // 2] = (
        1 - image[height // 4 : height // 2, width // 4 : width // 2]
    )
    return np.round(image * 255).astype(np.uint8)


def published(image: np.ndarray, name: str, severity: int) -> np.ndarray:
    whole = image if image.shape[2] == 3 else np.repeat(image, 3, axis=2)
    return np.uint8(getattr(imagecorruptions(), name)(Image.fromarray(whole), severity)).astype(int)


@pytest.mark.parametrize("name", DETERMINISTIC)
@pytest.mark.parametrize("channels", [1, 3])
def test_what_does_not_draw_is_imagecorruptions_within_a_level(name: str, channels: int) -> None:
    image = photograph(channels=channels)
    for severity in SEVERITIES:
        ours, theirs = corrupt(image, name, severity).astype(int), published(image, name, severity)[..., :channels]
        assert np.abs(ours - theirs).max() <= 1, severity
        assert np.abs(ours - image).max() > 4


@pytest.mark.parametrize("name", REPLAYED)
def test_what_draws_is_imagecorruptions_from_the_same_draws(name: str) -> None:
    image = photograph()
    for severity in (1, 3, 5):
        np.random.seed(severity)
        theirs = published(image, name, severity)
        x = CORRUPTIONS[name].apply(image / 255, severity - 1, Replayed(severity))
        ours = np.floor(np.clip(x, 0, 1) * 255 + 1e-6).astype(int)
        assert np.abs(ours - theirs).max() <= 1, severity


@pytest.mark.parametrize("name", ["gaussian_noise", "shot_noise", "impulse_noise"])
def test_noise_has_the_mean_and_the_variance_of_imagecorruptions(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their draws are fixed, as scikit-image's have no seed. Few pixels get an impulse: a per cent needs many pixels."""
    monkeypatch.setattr(np.random, "default_rng", lambda *_: np.random.Generator(np.random.PCG64(0)))
    np.random.seed(0)
    image = np.tile(photograph(300, 300), (4, 4, 1) if name == "impulse_noise" else (1, 1, 1))
    for severity in SEVERITIES:
        ours, theirs = corrupt(image, name, severity).astype(float), published(image, name, severity).astype(float)
        for figure in (np.mean, np.var):
            assert figure(ours) == pytest.approx(figure(theirs), rel=0.01), severity


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_it_is_keyed_by_seed_and_image(name: str) -> None:
    image = photograph(32, 32)
    first = corrupt(image, name, 3, seed=1, id=5)
    assert first.dtype == np.uint8 and np.array_equal(first, corrupt(image, name, 3, seed=1, id=5))
    differs = [not np.array_equal(first, corrupt(image, name, 3, seed=s, id=i)) for s, i in ((2, 5), (1, 6))]
    assert differs == [CORRUPTIONS[name].random] * 2


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("shape", [(28, 28, 1), (9, 14, 3)])
def test_small_and_grey_images_are_corrupted_more_and_more(name: str, shape: tuple[int, int, int]) -> None:
    image = photograph(*shape)
    changed = [corrupt(image, name, severity, id=1).astype(float) for severity in SEVERITIES]
    assert all(one.shape == shape for one in changed)
    assert all((one != image).any() for one in changed)


def test_frost_whitens_with_synthetic_ice() -> None:
    image = np.full((40, 40, 3), 60, np.uint8)
    frosted = corrupt(image, "frost", 3)
    assert frosted.mean() > image.mean() + 5 and frosted.std() > 10


@pytest.mark.parametrize(("name", "severity", "fix"), [("fogg", 1, "fog"), ("fog", 0, "1 to 5"), ("fog", 6, "1 to 5")])
def test_what_corrupt_refuses(name: str, severity: int, fix: str) -> None:
    with pytest.raises(UsageError) as caught:
        corrupt(photograph(), name, severity)
    assert fix in caught.value.hint


NEUTRAL = {"rotation": 0, "scale": 1, "brightness": 0, "occlusion": 0, "jpeg": 100, "viewpoint": 0}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_change_of_nothing_changes_nothing_and_others_do(name: str, channels: int) -> None:
    image = photograph(28, 28, channels)
    assert NEUTRAL[name] in CHANGES[name].strengths
    for strength in CHANGES[name].strengths:
        same = np.array_equal(change(image, name, strength, id=4), image)
        assert same == (strength == NEUTRAL[name]), strength


def test_a_quarter_turn_is_exact() -> None:
    image = photograph(30, 30)
    turned = change(image, "rotation", 90.0, id=0)
    assert any(np.array_equal(turned, np.rot90(image, k)) for k in (1, 3))


def test_a_turned_plane_shrinks_on_the_far_side() -> None:
    """cos θ narrows the image, and one edge becomes shorter than the other."""
    image = np.zeros((60, 60, 1), np.uint8)
    image[10:50, 10:50] = 255
    seen = change(image, "viewpoint", 45.0, id=2)[..., 0] > 127
    columns = np.flatnonzero(seen.any(0))
    assert columns[-1] - columns[0] < 34
    heights = seen[:, columns].sum(0)
    assert abs(int(heights[1]) - int(heights[-2])) >= 5


def test_occlusion_covers_its_share() -> None:
    image = np.full((40, 40, 3), 255, np.uint8)
    covered = change(image, "occlusion", 0.5, id=9)
    assert (covered != 255).any(2).sum() == 400
