"""Operations on the pixels of some images, each at its own strength. Nothing moves.

x are levels of 0-255 (n, h, w, c) and `inside` (n, h, w) says which pixels belong to the image. As in Pillow, factors blend
with another image: black (brightness), the grey image (colour), its mean grey (contrast), the image smoothed by a kernel of 1
with 5 in the middle (sharpness; the outermost pixels stay).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional

Pixels = UInt8[Tensor, "n h w c"]
_GREY = (0.2989, 0.587, 0.114)  # as torchvision rounds them


def brightness(x: Pixels, strength: Float[Tensor, "n"], inside: Bool[Tensor, "n h w"]) -> Pixels:
    """Factor 1 + strength."""
    return _rounded(x.float() * _each(1 + strength))


def colour(x: Pixels, strength: Float[Tensor, "n"], inside: Bool[Tensor, "n h w"]) -> Pixels:
    """Saturation by 1 + strength; grey images stay."""
    return _blend(x, _grey(x), strength) if x.shape[3] == 3 else x


def contrast(x: Pixels, strength: Float[Tensor, "n"], inside: Bool[Tensor, "n h w"]) -> Pixels:
    """By 1 + strength about the mean grey. It is a sum of whole numbers, which does not depend on their order."""
    grey = (_grey(x) if x.shape[3] == 3 else x)[..., 0].long() * inside
    mean = grey.sum((1, 2)).double() / inside.sum((1, 2)).double()
    return _blend(x, _each(mean.float()), strength)


def sharpness(x: Pixels, strength: Float[Tensor, "n"], inside: Bool[Tensor, "n h w"]) -> Pixels:
    """By 1 + strength."""
    _, h, w, c = x.shape
    if min(h, w) < 3:
        return x
    kernel = torch.ones(c, 1, 3, 3, device=x.device)
    kernel[:, :, 1, 1] = 5
    sums = functional.conv2d(x.permute(0, 3, 1, 2).float(), kernel, groups=c).permute(
        0, 2, 3, 1
    )  # whole numbers: exact
    smooth = x.float()
    smooth[:, 1:-1, 1:-1] = (sums / 13).round()
    middle = functional.max_pool2d((~inside)[:, None].float(), 3, 1, 1)[:, 0] == 0  # no neighbour lies outside
    return _blend(x, torch.where(middle[..., None], smooth, x.float()), strength)


def posterize(x: Pixels, strength: Float[Tensor, "n"], inside: Bool[Tensor, "n h w"]) -> Pixels:
    """Keeps so many of the eight bits."""
    step = 2 ** (8 - strength.long())
    return (x.long() // _each(step) * _each(step)).to(torch.uint8)


def solarize(x: Pixels, strength: Float[Tensor, "n"], inside: Bool[Tensor, "n h w"]) -> Pixels:
    """Inverts pixels from a threshold on, given as a share of 255."""
    return torch.where(x >= _each(strength * 255), 255 - x, x)


def autocontrast(x: Pixels, strength: Float[Tensor, "n"], inside: Bool[Tensor, "n h w"]) -> Pixels:
    """Stretches each channel to 0-255; one of a single value stays."""
    part = inside[..., None]
    low = torch.where(part, x, 255).amin((1, 2), keepdim=True).float()
    high = torch.where(part, x, 0).amax((1, 2), keepdim=True).float()
    stretched = (x.float() - low) * (255 / (high - low).clamp(min=1))
    return torch.where(high > low, _rounded(stretched), x)


def equalize(x: Pixels, strength: Float[Tensor, "n"], inside: Bool[Tensor, "n h w"]) -> Pixels:
    """Gives each channel a histogram as even as its values allow, in Pillow's whole numbers."""
    n, h, w, c = x.shape
    flat = torch.where(inside[..., None], x.long(), 256).permute(0, 3, 1, 2).reshape(n * c, h * w)
    counts = torch.zeros(n * c, 257, dtype=torch.long, device=x.device)
    counts = counts.scatter_add_(1, flat, torch.ones_like(flat))[:, :256]
    values = torch.arange(256, device=x.device)
    last = torch.where(counts > 0, values, -1).amax(1, keepdim=True)
    step = (counts.sum(1, keepdim=True) - counts.gather(1, last.clamp(min=0))) // 255  # (n · c, 1)
    before = counts.cumsum(1) - counts
    table = ((before + step // 2) // step.clamp(min=1)).clamp(0, 255)
    table = torch.where(step > 0, table, values)  # too few pixels, or a single value
    return table.gather(1, flat.clamp(max=255)).view(n, c, h, w).permute(0, 2, 3, 1).to(torch.uint8)


OPERATIONS: dict[str, Callable[[Pixels, Tensor, Tensor], Pixels]] = {
    "brightness": brightness,
    "colour": colour,
    "contrast": contrast,
    "sharpness": sharpness,
    "posterize": posterize,
    "solarize": solarize,
    "autocontrast": autocontrast,
    "equalize": equalize,
}


def _each(value: Tensor) -> Tensor:
    """(n,) → (n, 1, 1, 1)"""
    return value[:, None, None, None]


def _rounded(x: Float[Tensor, "n h w c"]) -> Pixels:
    return x.round().clamp(0, 255).to(torch.uint8)


def _grey(x: Pixels) -> Float[Tensor, "n h w 1"]:
    r, g, b = (x[..., k : k + 1].float() * weight for k, weight in enumerate(_GREY))
    return (r + g + b).floor()


def _blend(x: Pixels, other: Tensor, strength: Float[Tensor, "n"]) -> Pixels:
    """other + (1 + strength) · (x - other)"""
    factor = _each(1 + strength)
    return _rounded(factor * x.float() + (1 - factor) * other)
