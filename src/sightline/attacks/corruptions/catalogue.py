"""Fifteen corruptions of five severities, after Hendrycks & Dietterich 2019, "Benchmarking neural network robustness to
common corruptions and perturbations" (arXiv:1903.12261).

They are our own and keyed: the same image with the same seed gives the same bits. The deterministic ones equal the package
imagecorruptions within one level, the random ones have its distribution; frost has synthetic ice. They work on any size and
on grey images. Results on them are not ImageNet-C, and their mean is not the benchmark's mCE: that divides by the errors of
AlexNet on the same corruptions of ImageNet's validation set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from sightline.errors import UsageError, nearest
from sightline.randomness.keyed import reference_hash

from . import blur, digital, noise, weather
from .kernels import Picture

SEVERITIES = (1, 2, 3, 4, 5)
Corrupt = Callable[[Picture, int, np.random.Generator], Picture]


@dataclass(frozen=True)
class Corruption:
    """`apply(x, severity from 0, draws)` on values from 0 to 1; `group` is noise, blur, weather or digital; `random` whether
    it draws."""

    name: str
    group: str
    apply: Corrupt
    random: bool


CORRUPTIONS = {
    function.__name__: Corruption(function.__name__, group, function, random)
    for group, function, random in (
        ("noise", noise.gaussian_noise, True),
        ("noise", noise.shot_noise, True),
        ("noise", noise.impulse_noise, True),
        ("blur", blur.defocus_blur, False),
        ("blur", blur.glass_blur, True),
        ("blur", blur.motion_blur, True),
        ("blur", blur.zoom_blur, False),
        ("weather", weather.snow, True),
        ("weather", weather.frost, True),
        ("weather", weather.fog, True),
        ("weather", weather.brightness, False),
        ("digital", digital.contrast, False),
        ("digital", digital.elastic_transform, True),
        ("digital", digital.pixelate, False),
        ("digital", digital.jpeg_compression, False),
    )
}


def corrupt(
    image: UInt8[np.ndarray, "h w c"], name: str, severity: int, *, seed: int = 0, id: int = 0
) -> UInt8[np.ndarray, "h w c"]:
    """The image (c = 1 or 3) corrupted, cut off to whole levels. The draws depend on (seed, name, severity, id) alone.

    UsageError for an unknown name or a severity that is not 1 to 5.
    """
    if name not in CORRUPTIONS:
        raise UsageError(f"unknown corruption {name!r}", nearest(name, CORRUPTIONS))
    if severity not in SEVERITIES:
        raise UsageError(f"severity is {severity}", "use 1 to 5")
    draws = np.random.Generator(np.random.PCG64(reference_hash(seed, f"corruption {name}", severity, id)))
    changed = CORRUPTIONS[name].apply(image.astype(np.float64) / 255, severity - 1, draws)
    # 1e-6: 255 · (v / 255) may lie a rounding error below v, which would be cut off to the level below
    return np.floor(np.clip(changed, 0, 1) * 255 + 1e-6).astype(np.uint8)
