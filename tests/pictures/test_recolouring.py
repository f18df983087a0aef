"""Another colour, the same light."""

from __future__ import annotations

import numpy as np

from sightline.drawing.overlay import recoloured

LUMA = np.array([0.299, 0.587, 0.114])


def test_light_stays_and_the_rest_of_the_picture_too() -> None:
    draw = np.random.default_rng(0)
    picture = draw.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    mask = np.zeros((20, 30), dtype=bool)
    mask[5:15, 8:20] = True
    dyed = recoloured(picture, mask, (200, 40, 30))
    assert (dyed[~mask] == picture[~mask]).all()
    assert np.abs(dyed @ LUMA - picture @ LUMA).max() <= 1.0  # of rounding three channels
    inside = dyed[mask].astype(int)
    assert (inside[:, 0] >= inside[:, 1]).all()  # red
    assert (inside[:, 0] - inside[:, 1]).mean() > 60
    assert (recoloured(picture, mask, (200, 40, 30), strength=0.0) == picture).all()
    half = recoloured(picture, mask, (200, 40, 30), strength=0.5).astype(int)
    assert np.abs(half - (picture.astype(int) + dyed) / 2).max() <= 1


def test_black_and_white_have_no_colour() -> None:
    ends = np.array([[[0, 0, 0], [255, 255, 255]]], dtype=np.uint8)
    assert (recoloured(ends, np.ones((1, 2), dtype=bool), (10, 200, 90)) == ends).all()
