"""U-Net that finds the noise in an image, or its velocity towards data: Ho, Jain & Abbeel 2020, arXiv:2006.11239.

Residual blocks of group norm, SiLU and 3x3, to which the time is added; self-attention between the places of coarse maps; a
contracting and an expanding path with all maps of the former joined to the latter. Conditions: a class, embedded and added
to the time (Dhariwal & Nichol 2021, arXiv:2105.05233), and words, which the places attend to (Rombach et al. 2021,
arXiv:2112.10752) and whose mean is added to the time.

Parameters have the names that `diffusers` gives those of its UNet2DModel, so that weights in that format load as they are.
`denoiser` is our own, for images of 28 to 32 pixels on a processor: it works on patches of 2x2 pixels, a quarter of
the places for four times the channels of the image.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.models.catalogue import MODELS
from sightline.models.sizes import require_channels, require_signed

from .denoising_blocks import Block, Down, Middle, Norm, State, TimeEmbedding, Up, Words, sinusoids

NOISE = "noise"  # the heading of networks that find it
_TIME = 4  # width of the time's embedding, as a multiple of the finest maps' width


class Denoiser(nn.Module):
    """Noisy images (b, c, h, w) and times → noise or velocities (b, c, h, w).

    num_classes   rows of the table of classes, an empty condition included; 0: no classes
    widths        channels of the maps, from fine to coarse, each half the size of the one before
    blocks        residual blocks at each size on the way down; one more on the way up
    attention     for each size, whether places attend to each other there; at the coarsest they always do once
    patch         side of the patches of pixels that are one place of the finest map
    words         rows of the table of words, an empty one included; None: no text
    groups, head  channels of a head of attention; groups of a norm
    original      the frequencies, ε and asymmetric padding of the first implementation, whose weights are published
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 0,
        widths: tuple[int, ...] = (32, 64),
        blocks: int = 1,
        attention: tuple[bool, ...] = (False, True),
        patch: int = 2,
        words: int | None = None,
        text_width: int = 64,
        groups: int = 8,
        head: int = 16,
        dropout: float = 0.0,
        original: bool = False,
    ) -> None:
        super().__init__()
        if len(widths) != len(attention):
            raise UsageError(
                f"{len(widths)} widths and {len(attention)} answers to attention", "give one for each size"
            )
        if any(width % groups for width in widths):
            raise UsageError(f"groups={groups} does not divide widths={widths}", "use multiples of groups")
        self.input_size = (in_channels, 32, 32)
        self.patch, self.original, self.words = patch, original, words
        pixels, time = in_channels * patch**2, _TIME * widths[0]
        text = text_width if words is not None else None
        shared: dict[str, Any] = {
            "groups": groups, "eps": 1e-6 if original else 1e-5, "dropout": dropout, "head": head, "words": text,
        }  # fmt: skip
        self.conv_in = nn.Conv2d(pixels, widths[0], 3, padding=1)
        self.time_embedding = TimeEmbedding(widths[0], time)
        if num_classes:
            self.class_embedding = nn.Embedding(num_classes, time)
        if words is not None:
            self.text = Words(words, text_width, time)
        self.down_blocks, self.up_blocks = nn.ModuleList(), nn.ModuleList()
        skips, inputs = [widths[0]], widths[0]
        for level, width in enumerate(widths):
            block = Block([inputs, *[width] * (blocks - 1)], width, time, attends=attention[level], **shared)
            skips += [width] * blocks
            if level < len(widths) - 1:
                block.downsamplers = nn.ModuleList([Down(width, padded=not original)])
                skips.append(width)
            self.down_blocks.append(block)
            inputs = width
        self.mid_block = Middle(inputs, time, **shared)
        for level, width in reversed(list(enumerate(widths))):
            reads = []
            for _ in range(blocks + 1):
                reads.append(inputs + skips.pop())
                inputs = width
            block = Block(reads, width, time, attends=attention[level], **shared)
            if level:
                block.upsamplers = nn.ModuleList([Up(width)])
            self.up_blocks.append(block)
        self.conv_norm_out = Norm(groups, widths[0], shared["eps"])
        self.conv_out = nn.Conv2d(widths[0], pixels, 3, padding=1)

    def forward(
        self,
        x: Num[Tensor, "b c h w"],
        time: Tensor | None = None,
        label: Int[Tensor, "b"] | None = None,
        words: Int[Tensor, "b n"] | None = None,
    ) -> Float[Tensor, "b c h w"]:
        """The noise in each image. `time` (b,), on the scale 0 to 1000, is 0 where it is left out, and so are `label` (b,) and
        `words` (b, n)."""
        require_signed(x)
        require_channels(x, self.input_size[0])
        state = self._state(x, time, label, words)
        x = self.conv_in(F.pixel_unshuffle(x, self.patch))
        skips = [x]
        for block in cast("Iterable[Block]", self.down_blocks):
            for i in range(len(block.resnets)):
                x = block.at(i, x, state)
                skips.append(x)
            for down in getattr(block, "downsamplers", ()):
                x = down(x)
                skips.append(x)
        x = self.mid_block(x, state)
        for block in cast("Iterable[Block]", self.up_blocks):
            for i in range(len(block.resnets)):
                x = block.at(i, torch.cat([x, skips.pop()], dim=1), state)
            for up in getattr(block, "upsamplers", ()):
                x = up(x, skips[-1].shape[2:])
        return F.pixel_shuffle(self.conv_out(F.silu(self.conv_norm_out(x))), self.patch)

    def _state(self, x: Tensor, time: Tensor | None, label: Tensor | None, words: Tensor | None) -> State:
        time = x.new_zeros(len(x)) if time is None else time
        shift = int(self.original)
        known = sinusoids(time, self.conv_in.out_channels, sine_first=self.original, shift=shift)
        embedded = self.time_embedding(known.to(x.dtype))
        if hasattr(self, "class_embedding"):
            label = torch.zeros_like(time, dtype=torch.int64) if label is None else label
            embedded = embedded + self.class_embedding(label)
        if self.words is None:
            return State(embedded)
        words = torch.zeros(len(x), 1, dtype=torch.int64, device=x.device) if words is None else words
        vectors, about = self.text(words)
        return State(embedded + about, vectors)


@MODELS.under(NOISE)
def denoiser(**options: Any) -> Denoiser:
    """Our own, for 28 to 32 pixels on a processor: 707,692 parameters at (3, 32, 32)."""
    return Denoiser(**options)


@MODELS.under(NOISE)
def denoiser_cifar(**options: Any) -> Denoiser:
    """For CIFAR-10, as Ho et al. 2020 published it: 35.7 M parameters at (3, 32, 32)."""
    return Denoiser(
        widths=(128, 256, 256, 256),
        attention=(False, True, False, False),
        blocks=2,
        patch=1,
        groups=32,
        head=256,
        original=True,
        **options,
    )
