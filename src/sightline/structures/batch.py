"""One sample, and a batch of samples on a device.

Images are uint8 in the network's frame until the network's own normalisation converts them to floats. Nothing here
assumes images: a batch holds the inputs that its kind of task needs, by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from sightline.structures.inputs import Input, Pixels
from sightline.structures.moving import move_to
from sightline.structures.targets import Target

IMAGE = "image"  # the name of a batch's images where each sample is one image
PLACES = "places"  # boxes where objects may be, beside them: `Places`


@dataclass(frozen=True)
class Sample:
    """One sample: inputs and target of batch size 1, and `id`, its row in the data manifest."""

    inputs: Mapping[str, Input]
    id: int
    target: Target

    @classmethod
    def of_image(
        cls,
        image: UInt8[Tensor, "c h w"],
        id: int,
        target: Target,
        frame: Float[Tensor, "3 3"],
        natural: Int[Tensor, "2"],
        beside: Mapping[str, Input] = MappingProxyType({}),
    ) -> Sample:
        """A sample that is one image (c, h, w) in the network's frame; `natural` (2,) is the size of the original, `beside`
        further inputs by name."""
        size = torch.tensor([image.shape[1:]])
        return cls({IMAGE: Pixels(image[None], size, frame[None], natural[None]), **beside}, id, target)


@dataclass(frozen=True)
class Batch:
    """Samples that were joined, with their targets.

    inputs    by name, each of b samples: Pixels, Clips, Tokens
    id        (b,) rows of the data manifest
    position  (b,) positions in the endless training stream, which key each sample's augmentation
    target    Labels, Values, Boxes, Outlines, Masks, Pairs, or Several of them by name
    partners  further samples by name, of which some samples of this batch are to be made; empty once they are

    Where a sample is one image, `image`, `size`, `frame` and `natural` are those of `Pixels`.
    """

    inputs: Mapping[str, Input]
    id: Int[Tensor, "b"]
    position: Int[Tensor, "b"]
    target: Target
    partners: Mapping[str, Partners] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.target, Target):
            raise TypeError(
                f"Batch.target is a {type(self.target).__name__}; wrap it in Labels, Boxes, Masks or another Target"
            )

    @classmethod
    def of_images(
        cls,
        image: UInt8[Tensor, "b c h w"],
        size: Int[Tensor, "b 2"],
        frame: Float[Tensor, "b 3 3"],
        natural: Int[Tensor, "b 2"],
        id: Int[Tensor, "b"],
        position: Int[Tensor, "b"],
        target: Target,
        beside: Mapping[str, Input] = MappingProxyType({}),
    ) -> Batch:
        """A batch in which each sample is one image, see `Pixels`, with further inputs `beside` it."""
        return cls({IMAGE: Pixels(image, size, frame, natural), **beside}, id, position, target)

    def __len__(self) -> int:
        return len(self.id)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        return move_to(self, device, non_blocking)

    @property
    def pixels(self) -> Pixels:
        """The images of a batch in which each sample is one image. TypeError for other batches."""
        pixels = self.inputs.get(IMAGE)
        if not isinstance(pixels, Pixels):
            raise TypeError(f"this batch has no images but {', '.join(self.inputs)}")
        return pixels

    @property
    def image(self) -> UInt8[Tensor, "b c h w"]:
        return self.pixels.image

    @property
    def size(self) -> Int[Tensor, "b 2"]:
        return self.pixels.size

    @property
    def frame(self) -> Float[Tensor, "b 3 3"]:
        return self.pixels.frame

    @property
    def natural(self) -> Int[Tensor, "b 2"]:
        return self.pixels.natural

    def with_pixels(self, target: Target | None = None, **changes: Any) -> Batch:
        """The same batch with other images (`image=`, `frame=` …) and, if given, another target."""
        inputs = {**self.inputs, IMAGE: replace(self.pixels, **changes)}
        return replace(self, inputs=inputs, target=self.target if target is None else target)


@dataclass(frozen=True)
class Partners:
    """Row j of `batch` is a partner of sample `owner[j]` (m,), ascending."""

    batch: Batch
    owner: Int[Tensor, "m"]


def collate(samples: Sequence[Sample], positions: Sequence[int]) -> Batch:
    """Join samples. Images are padded with zeros on the right and at the bottom to the largest height and width."""
    first = samples[0]
    return Batch(
        inputs={name: type(one).join([s.inputs[name] for s in samples]) for name, one in first.inputs.items()},
        id=torch.tensor([s.id for s in samples]),
        position=torch.tensor(positions),
        target=type(first.target).join([s.target for s in samples]),
    )
