"""The inputs of networks, one frozen dataclass for each kind of input.

A batch holds inputs by name: {"image": Pixels}, {"first": Pixels, "second": Pixels}, {"image": Pixels, "text": Tokens},
{"clip": Clips}, {"source": Texts}. Collating, moving to a device, random draws and resuming are the same for all of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Input(ABC):
    """An input of a batch. `join` stacks the inputs of single samples in order."""

    @classmethod
    @abstractmethod
    def join(cls, parts: Sequence[Input]) -> Input:
        """The input of a batch from those of its samples."""

    @abstractmethod
    def __len__(self) -> int:
        """The number of samples."""


@dataclass(frozen=True)
class Pixels(Input):
    """Images padded on the right and at the bottom to a common size.

    image     (b, c, h, w) uint8; size (b, 2) the true height and width of each
    frame     (b, 3, 3) maps a point (x, y, 1) of the original, EXIF-oriented image to the batch's pixels
    natural   (b, 2) height and width of the originals
    """

    image: UInt8[Tensor, "b c h w"]
    size: Int[Tensor, "b 2"]
    frame: Float[Tensor, "b 3 3"]
    natural: Int[Tensor, "b 2"]

    def __len__(self) -> int:
        return len(self.image)

    @classmethod
    def join(cls, parts: Sequence[Input]) -> Pixels:
        pixels = [p for p in parts if isinstance(p, Pixels)]
        height, width = (max(p.image.shape[side] for p in pixels) for side in (2, 3))
        channels = pixels[0].image.shape[1]
        n = sum(map(len, pixels))
        image = torch.zeros(n, height, width, channels, dtype=torch.uint8).permute(0, 3, 1, 2)  # (b, c, h, w)
        row = 0
        for p in pixels:
            image[row : row + len(p), :, : p.image.shape[2], : p.image.shape[3]] = p.image
            row += len(p)
        size, frame, natural = (torch.cat([getattr(p, name) for p in pixels]) for name in ("size", "frame", "natural"))
        return cls(image, size, frame, natural)


@dataclass(frozen=True)
class Places(Input):
    """Boxes where objects may be, packed: `boxes` (n, 4) xyxy, image by image, `count` (b,) of them in each.

    They are in the frame of the *original* images, so that `Pixels.frame`, which every augmentation updates, carries them."""

    boxes: Float[Tensor, "n 4"]
    count: Int[Tensor, "b"]

    def __len__(self) -> int:
        return len(self.count)

    @classmethod
    def join(cls, parts: Sequence[Input]) -> Places:
        places = [p for p in parts if isinstance(p, Places)]
        return cls(torch.cat([p.boxes for p in places]), torch.cat([p.count for p in places]))


@dataclass(frozen=True)
class Clips(Input):
    """Frames of equally long clips: `frames` (b, t, c, h, w) uint8."""

    frames: UInt8[Tensor, "b t c h w"]

    def __len__(self) -> int:
        return len(self.frames)

    @classmethod
    def join(cls, parts: Sequence[Input]) -> Clips:
        return cls(torch.cat([p.frames for p in parts if isinstance(p, Clips)]))


@dataclass(frozen=True)
class Tokens(Input):
    """Words or patches as indexes: `index` (b, n), padded at the end, and `mask` (b, n), true for real tokens."""

    index: Int[Tensor, "b n"]
    mask: Bool[Tensor, "b n"]

    def __len__(self) -> int:
        return len(self.index)

    @classmethod
    def join(cls, parts: Sequence[Input]) -> Tokens:
        tokens = [p for p in parts if isinstance(p, Tokens)]
        longest = max(p.index.shape[1] for p in tokens)
        index, mask = (
            torch.cat([functional.pad(getattr(p, name), (0, longest - p.index.shape[1])) for p in tokens])
            for name in ("index", "mask")
        )
        return cls(index, mask)


@dataclass(frozen=True)
class Texts(Input):
    """Texts as they are written. A task turns them into tokens, because its vocabulary is learned from them."""

    text: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.text)

    @classmethod
    def join(cls, parts: Sequence[Input]) -> Texts:
        return cls(tuple(text for p in parts if isinstance(p, Texts) for text in p.text))
