"""The normalisation of generative networks: levels to [-1, 1], whatever the data."""

from __future__ import annotations

from sightline.data.loaders import Images
from sightline.preprocessing.signed import HALF


def signed_range(images: Images, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation that map levels to [-1, 1], as `preprocessing.signed` does."""
    return (HALF,) * channels, (HALF,) * channels
