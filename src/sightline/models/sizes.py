"""Checks of image shapes, so that an unsuitable image is refused by name before a matrix product fails somewhere
inside."""

from __future__ import annotations

from jaxtyping import Float, Num
from torch import Tensor

from sightline.errors import UsageError


def require_exactly(x: Float[Tensor, "b c h w"], channels: int, height: int, width: int) -> None:
    """UsageError unless the images are exactly of this shape."""
    require_channels(x, channels)
    if x.shape[2] != height or x.shape[3] != width:
        raise UsageError(
            f"the network sees {height}x{width} pixels, these images have {x.shape[2]}x{x.shape[3]}",
            f"resize them to {height}x{width}, or set image_size where the network has that option",
        )


def require_at_least(x: Float[Tensor, "b c h w"], channels: int, smallest: int) -> None:
    """UsageError where a side is too short, so that some strided layer would have no pixels left."""
    require_channels(x, channels)
    if x.shape[2] < smallest or x.shape[3] < smallest:
        raise UsageError(
            f"the network needs at least {smallest}x{smallest} pixels, these images have {x.shape[2]}x{x.shape[3]}",
            "enlarge them, or use a network for small images (small_images=true)",
        )


def require_channels(x: Num[Tensor, "b c h w"], channels: int) -> None:
    """UsageError unless the images have as many channels as the first layer reads."""
    if x.shape[1] != channels:
        raise UsageError(
            f"the network reads {channels} channel(s), these images have {x.shape[1]}",
            f"build it with in_channels={x.shape[1]}",
        )


def require_signed(x: Num[Tensor, "*shape"]) -> None:
    """UsageError for images as levels of 0-255, where the network reads numbers from -1 to 1."""
    if not x.is_floating_point():
        raise UsageError("the network reads images in [-1, 1], these are levels", "convert them: x / 127.5 - 1")
