"""Drawn heads with hair of many colours: pictures whose every pixel is known, and that show no person."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, UInt8

SKIN = ((242, 205, 180), (224, 172, 140), (176, 122, 90), (118, 78, 56))
HAIR = ((42, 32, 28), (92, 60, 40), (150, 110, 70), (212, 178, 120), (150, 150, 150))


def head(
    seed: tuple[int, int], side: int = 48, hair: tuple[int, int, int] | None = None
) -> tuple[UInt8[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]:
    """A head, and which pixels are its hair: `seed` decides everything, `hair` its colour where it is given. The coat often has
    the colour of the hair, so that colour alone does not tell them apart."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    across, down = draw.uniform(0.42, 0.58), draw.uniform(0.44, 0.54)
    wide, tall = draw.uniform(0.16, 0.21), draw.uniform(0.21, 0.27)
    own = np.array(HAIR[draw.integers(len(HAIR))] if hair is None else hair) + draw.normal(0, 8, 3)
    wall = draw.uniform(60, 220, 3)
    picture = wall + 40 * (y[..., None] - 0.5) * draw.choice([-1, 1])
    coat = own if draw.random() < 0.5 else draw.uniform(20, 230, 3)
    shoulders = ((x - across) / 0.36) ** 2 + ((y - 1.05) / 0.3) ** 2 < 1
    picture[shoulders] = coat
    long = draw.uniform(0.0, 0.22)  # how far the hair falls
    crown = ((x - across) / (wide + 0.06)) ** 2 + ((y - down + 0.04) / (tall + 0.06)) ** 2 < 1
    falls = (abs(x - across) < wide + 0.06) & (y > down - 0.04) & (y < down + long)
    fringe = down - tall * draw.uniform(0.4, 0.7)
    face = ((x - across) / wide) ** 2 + ((y - down) / tall) ** 2 < 1
    mask = (crown & (y < down + long) | falls) & ~(face & (y > fringe))
    waves = np.sin(2 * np.pi * (x * draw.uniform(9, 14) + 0.4 * np.sin(2 * np.pi * y * draw.uniform(1, 3))))
    strands = 1 + 0.28 * waves + draw.normal(0, 0.06, (side, side))
    picture[mask] = (own * strands[..., None])[mask]
    visible = face & ~mask
    picture[visible] = SKIN[draw.integers(len(SKIN))]
    picture[visible] *= (1.05 - 0.3 * abs(x - across) / wide)[visible][:, None]
    for side_of_face in (-1, 1):
        eye = ((x - across - side_of_face * 0.45 * wide) / 0.02) ** 2 + ((y - down) / 0.012) ** 2 < 1
        picture[eye & visible] = 30
    picture += draw.normal(0, 5, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8), mask
