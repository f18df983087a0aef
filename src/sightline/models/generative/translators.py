"""Networks that turn an image into another one, and the critic that looks at patches.

    unet_generator     halvings to a bottleneck and back, with skip connections (pix2pix: Isola et al. 2016, arXiv:1611.07004)
    resnet_generator   two halvings, residual blocks, two doublings (CycleGAN: Zhu et al. 2017, arXiv:1703.10593)
    PatchCritic        a logit of "real" for each patch, not for the image: it judges texture, and the L1 or cycle loss the rest

All norms are of single images (instance norm), which is what both papers' batch norm is at their batch of one image; so an
image is translated the same alone or in any batch. Images are in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import UsageError

Shape = tuple[int, int, int]
STD = 0.02  # of all weights, as in both papers
DEEPEST = 8  # halvings of the U-Net
WIDEST = 8  # channels of any map, in multiples of `base`


class UNetGenerator(nn.Module):
    """(b, i, h, w) → (b, o, h, w). Halved as often as both sides are even, at most 8 times: 256 pixels end at 1, 28 at 7."""

    def __init__(self, shape: Shape, outputs: int, *, base: int = 32) -> None:
        super().__init__()
        inputs, height, width = shape
        halvings = 0
        while halvings < DEEPEST and not height % 2 and not width % 2:
            height, width, halvings = height // 2, width // 2, halvings + 1
        if not halvings:
            raise UsageError(
                f"unet_generator cannot halve images of {shape[1]}x{shape[2]}", "set input.size to an even size"
            )
        widths = [base * min(2**level, WIDEST) for level in range(halvings)]
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        for level, wide in enumerate(widths):
            normed = 0 < level < halvings - 1  # the bottleneck may be a single pixel, which has no variance
            layers: list[nn.Module] = [nn.LeakyReLU(0.2)] if level else []
            layers.append(nn.Conv2d(inputs if not level else widths[level - 1], wide, 4, stride=2, padding=1))
            self.downs.append(nn.Sequential(*layers, *([nn.InstanceNorm2d(wide)] if normed else [])))
        for level in reversed(range(halvings)):
            wide = widths[level] * (1 if level == halvings - 1 else 2)  # with the skip connection beside it
            into = widths[level - 1] if level else outputs
            up = [nn.ReLU(), nn.ConvTranspose2d(wide, into, 4, stride=2, padding=1)]
            self.ups.append(nn.Sequential(*up, nn.InstanceNorm2d(into) if level else nn.Tanh()))
        self.apply(_initialise)

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h w"]:
        """Images (b, i, h, w) in [-1, 1] → images (b, o, h, w) in [-1, 1]."""
        skips = []
        for down in self.downs:
            x = down(x)
            skips.append(x)
        for number, (up, skip) in enumerate(zip(self.ups, reversed(skips), strict=True)):
            x = up(torch.cat([x, skip], 1) if number else skip)
        return x


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for last in (False, True):
            conv = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")
            layers += [conv, nn.InstanceNorm2d(channels), *([] if last else [nn.ReLU()])]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return x + self.layers(x)


class ResNetGenerator(nn.Module):
    """(b, i, h, w) → (b, o, h, w) for sides that 4 divides: c7s1, two strided 3x3, `blocks` residual blocks, two transposed
    3x3, c7s1 (the appendix of arXiv:1703.10593, with 64 channels and 6 or 9 blocks)."""

    def __init__(self, shape: Shape, outputs: int, *, base: int = 32, blocks: int = 6) -> None:
        super().__init__()
        inputs, height, width = shape
        if height % 4 or width % 4 or min(height, width) < 8:
            raise UsageError(f"resnet_generator cannot take images of {height}x{width}", "use sides that 4 divides")
        layers: list[nn.Module] = [nn.Conv2d(inputs, base, 7, padding=3, padding_mode="reflect")]
        for wide in (base, 2 * base):
            layers += [nn.InstanceNorm2d(wide), nn.ReLU(), nn.Conv2d(wide, 2 * wide, 3, stride=2, padding=1)]
        layers += [nn.InstanceNorm2d(4 * base), nn.ReLU(), *(_Residual(4 * base) for _ in range(blocks))]
        for wide in (4 * base, 2 * base):
            up = nn.ConvTranspose2d(wide, wide // 2, 3, stride=2, padding=1, output_padding=1)
            layers += [up, nn.InstanceNorm2d(wide // 2), nn.ReLU()]
        layers += [nn.Conv2d(base, outputs, 7, padding=3, padding_mode="reflect"), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(_initialise)

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h w"]:
        """Images (b, i, h, w) in [-1, 1] → images (b, o, h, w) in [-1, 1]; 4 divides h and w."""
        return self.layers(x)


class PatchCritic(nn.Module):
    """Images → logits of "real", one a patch, (b, n). Three strided layers see patches of 70 pixels (section 6.1.2 of
    arXiv:1611.07004); images below 64 pixels get two, 34 pixels.

    pool   earlier images (pool, c, h, w) that a critic's turn sees again, so that it does not forget what the generator did
           before (arXiv:1703.10593, section 4). They are buffers in half precision: a training that was killed goes on with
           the same ones. 0: none
    """

    past: Tensor
    held: Tensor

    def __init__(self, shape: Shape, *, base: int = 32, pool: int = 0) -> None:
        super().__init__()
        channels, height, width = shape
        layers: list[nn.Module] = [nn.Conv2d(channels, base, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        wide = base
        for level in range(2 if min(height, width) >= 64 else 1):
            into = base * 2 ** (level + 1)
            layers += [nn.Conv2d(wide, into, 4, stride=2, padding=1), nn.InstanceNorm2d(into), nn.LeakyReLU(0.2)]
            wide = into
        layers += [nn.Conv2d(wide, 2 * wide, 4, padding=1), nn.InstanceNorm2d(2 * wide), nn.LeakyReLU(0.2)]
        layers.append(nn.Conv2d(2 * wide, 1, 4, padding=1))
        self.layers = nn.Sequential(*layers)
        self.apply(_initialise)
        self.register_buffer("past", torch.zeros(pool, *shape, dtype=torch.float16))
        self.register_buffer("held", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Float[Tensor, "b c h w"], remember: bool = False) -> Float[Tensor, "b n"]:
        """`remember`: half of the images are exchanged for earlier ones, which they replace."""
        return self.layers(self._mixed(x) if remember and len(self.past) else x).flatten(1)  # (b, 1, i, j) → (b, i·j)

    @torch.no_grad()
    def _mixed(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        draws = torch.rand(2, len(x), device=x.device).tolist()
        seen = []
        for image, exchange, place in zip(x, *draws, strict=True):
            held = int(self.held)
            if held < len(self.past):
                self.past[held] = image
                self.held += 1
            elif exchange < 0.5:
                row = int(place * held)
                earlier = self.past[row].to(image.dtype)  # a copy
                self.past[row] = image
                image = earlier
            seen.append(image)
        return torch.stack(seen)


class Translator(NamedTuple):
    """generator   shape (i, h, w), output channels, options → images in [-1, 1] → images in [-1, 1]
    options     of the generator, with their defaults; those in `of_critic` are of the critic too
    about       one line for people
    """

    generator: Callable[..., nn.Module]
    options: Mapping[str, Any]
    about: str
    of_critic: tuple[str, ...] = ("base",)


TRANSLATORS: Mapping[str, Translator] = {
    "unet_generator": Translator(UNetGenerator, {"base": 32}, "halvings, doublings and skip connections"),
    "resnet_generator": Translator(
        ResNetGenerator, {"base": 32, "blocks": 6}, "residual blocks at a quarter of the size"
    ),
}


@torch.no_grad()
def _initialise(module: nn.Module) -> None:
    """Weights N(0, 0.02), offsets 0."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
