"""The package imagecorruptions, whose last release (2021) needs names that NumPy, SciPy and setuptools have dropped since."""

from __future__ import annotations

import sys
import types
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage


@cache
def imagecorruptions() -> Any:
    """Its module of functions, with those names put back."""
    spec = find_spec("imagecorruptions")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent
    resources = types.ModuleType("pkg_resources")
    resources.resource_filename = lambda name, path: str(folder / path)  # type: ignore[attr-defined]
    places = types.ModuleType("scipy.ndimage.interpolation")
    places.map_coordinates = ndimage.map_coordinates  # type: ignore[attr-defined]
    saved = {name: sys.modules.get(name) for name in ("pkg_resources", "scipy.ndimage.interpolation")}
    sys.modules["pkg_resources"], sys.modules["scipy.ndimage.interpolation"] = resources, places
    try:
        from imagecorruptions import corruptions
    finally:
        for name, module in saved.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    blurred = corruptions.gaussian

    def gaussian(image: Any, sigma: Any, multichannel: bool = False, **options: Any) -> Any:
        return blurred(image, sigma, channel_axis=-1 if multichannel else None, **options)

    corruptions.gaussian = gaussian
    corruptions.np = _NumPy()
    return corruptions


class _NumPy:
    """NumPy with `float_`."""

    float_ = np.float64

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


class Replayed(np.random.Generator):
    """Draws as that package makes them, from `numpy.random` seeded with the same number."""

    def __init__(self, seed: int) -> None:
        super().__init__(np.random.PCG64(0))
        self._old = np.random.RandomState(seed)

    def normal(self, *options: Any) -> Any:
        return self._old.normal(*options)

    def uniform(self, *options: Any) -> Any:
        return self._old.uniform(*options)

    def poisson(self, *options: Any) -> Any:
        return self._old.poisson(*options)

    def integers(self, low: int, high: int, size: Any) -> Any:
        return self._old.randint(low, high, size=size)
