"""Each augmentation does what its docstring says: ranges, probabilities, formulas, references."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from sightline.augmentation.affine import Affine
from sightline.augmentation.moves import Flip, Shift
from sightline.augmentation.values import Colour, Erasing
from sightline.structures.targets import IGNORE, Labels
from tests.augmented import SIDE, batch_of, marker

torch.set_num_threads(1)


def test_shifts_are_uniform_and_black_comes_in() -> None:
    n, p = 4000, 2
    out = Shift(p)(marker(list(range(n)), 12, 12), 9)
    shifts = (out.image[:, 0].nonzero()[:, 1:] - 12).tolist()
    counts = Counter(map(tuple, shifts))
    assert set(counts) == set(itertools.product(range(-p, p + 1), repeat=2))
    assert sum(counts.values()) == n
    expected = n / 25
    assert sum((c - expected) ** 2 / expected for c in counts.values()) < 51.2  # chi-square, 24 degrees, p = 0.001


def test_what_a_shift_brings_in_is_black() -> None:
    batch = batch_of(list(range(9)), full=True).with_pixels(frame=torch.eye(3).repeat(9, 1, 1))
    white = Shift(5)(batch.with_pixels(image=torch.full_like(batch.image, 255)), 1)
    place, some = torch.arange(SIDE), False
    for row, frame in enumerate(white.frame):
        dx, dy = frame[:2, 2].int().tolist()
        came = ((place - dy < 0) | (place - dy >= SIDE))[:, None] | ((place - dx < 0) | (place - dx >= SIDE))[None]
        assert torch.equal(white.image[row] == 0, came.expand(3, -1, -1))
        some |= bool(came.any())
    assert some


def test_half_are_flipped() -> None:
    flipped = (Flip()(marker(list(range(4000)), 12, 5), 2).frame[:, 0, 0] == -1).float().mean()
    assert abs(flipped - 0.5) < 0.03
    assert (Flip(probability=0.0)(batch_of([1, 2]), 2).image == batch_of([1, 2]).image).all()


def test_affine_without_motion_changes_no_bit() -> None:
    batch = batch_of(list(range(10)))
    out = Affine(0.0, 0.0, 0.0, 0.0)(batch, 1)
    assert torch.equal(out.image, batch.image)
    assert torch.equal(out.frame, batch.frame)


def test_affine_is_torchs_grid_sample() -> None:
    batch = batch_of(list(range(12)), full=True, target=Labels.of(torch.zeros(12, dtype=torch.int64)))
    batch = batch.with_pixels(frame=torch.eye(3).repeat(12, 1, 1))
    out = Affine(25.0, 0.2, 10.0, 0.1)(batch, 1)
    unit = torch.tensor([[2 / SIDE, 0, -1], [0, 2 / SIDE, -1], [0, 0, 1]])  # pixel edges → [-1, 1]
    theta = unit @ torch.linalg.inv(out.frame) @ torch.linalg.inv(unit)
    grid = F.affine_grid(theta[:, :2], list(batch.image.shape), align_corners=False)
    reference = F.grid_sample(batch.image.float(), grid, align_corners=False)
    assert (out.image - reference).abs().max() < 0.5 + 2e-2


def test_affine_stays_in_its_ranges_and_uses_them() -> None:
    out = Affine(rotate=20.0, scale=0.25, shear=0.0, translate=0.0)(marker(list(range(3000)), 12, 12), 1)
    a, c = out.frame[:, 0, 0], out.frame[:, 1, 0]
    angle, zoom = torch.rad2deg(torch.atan2(c, a)), torch.hypot(a, c)
    for value, low, high in ((angle, -20, 20), (zoom, 0.75, 1.25)):
        assert low - 1e-4 <= value.min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < value.max() <= high + 1e-4
    assert abs(angle.mean()) < 1
    centre = out.frame @ torch.tensor([SIDE / 2, SIDE / 2, 1.0])
    assert torch.allclose(centre[:, :2], torch.full((3000, 2), SIDE / 2), atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_colour_is_the_stated_formula(channels: int) -> None:
    """Brightness, contrast, saturation one after the other in double precision, clipped and rounded once."""
    batch, operation = batch_of(list(range(40)), channels=channels), Colour(0.5, 0.5, 0.5)
    b, c, s = (1 + (2 * d.double() - 1) * 0.5 for d in operation.draws(batch, 3, 3))
    out = operation(batch, 3).image
    off = 0
    for row, (height, width) in enumerate(batch.size.tolist()):
        x = batch.image[row, :, :height, :width].double()
        weight = torch.tensor([0.299, 0.587, 0.114] if channels == 3 else [1.0], dtype=torch.float64)[:, None, None]
        x = x * b[row]
        x = c[row] * x + (1 - c[row]) * (x * weight).sum(0).mean()
        if channels == 3:
            x = s[row] * x + (1 - s[row]) * (x * weight).sum(0)
        difference = (out[row, :, :height, :width] - x.clamp(0, 255)).abs()
        assert difference.max() <= 0.5 + 1e-3
        off += int((out[row, :, :height, :width] != x.clamp(0, 255).round()).sum())
    assert off < 20  # of some 30,000: only where single precision falls on the other side of a half


def test_erasing_is_a_rectangle_of_the_mean_colour() -> None:
    batch = batch_of(list(range(200)), full=True)
    erasing = Erasing(probability=1.0, smallest=0.05, largest=0.3, stretch=2.0)
    out = erasing(batch, 0)
    mask = out.target.by_name["mask"].index  # type: ignore[attr-defined]
    shares = []
    for row in range(200):
        erased = mask[row] == IGNORE
        rows, columns = erased.any(1), erased.any(0)
        assert torch.equal(erased, rows[:, None] & columns[None])
        for flags in (rows, columns):  # without gaps
            assert flags.int().diff().abs().sum() <= 2
        mean = (batch.image[row].double().mean((1, 2)) + 1e-9).round()
        assert (out.image[row][:, erased] == mean[:, None]).all()
        assert torch.equal(out.image[row][:, ~erased], batch.image[row][:, ~erased])
        height, width = rows.sum().item(), columns.sum().item()
        assert max(height, width) / min(height, width) < 2.7  # 2, rounded to whole pixels
        shares.append(height * width / SIDE**2)
    assert 0.03 < min(shares) < 0.08
    assert 0.26 < max(shares) < 0.33


def test_erasing_happens_as_often_as_asked() -> None:
    batch = batch_of([3] * 3000, full=True)
    out = Erasing(probability=0.25)(replace(batch, position=torch.arange(3000)), 0)
    changed = (out.image != batch.image).flatten(1).any(1).float().mean()
    assert abs(changed - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 3000)
