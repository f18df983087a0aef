"""One face as another: the steps of FSGAN (Nirkin, Keller & Hassner 2019, arXiv:1908.05932).

    re-enactment   the source face in the pose and with the expression of the target, by heat maps of the target's landmarks,
                   in several steps of the pose: small turns are easier than large ones
    segmentation   which pixels are face, in the target and in what was made
    inpainting     what the target's face has and the re-enacted one has not, made up
    blending       the colours of the target's picture, the gradients of the new face

Images are in [-1, 1]. Landmarks and segmentation are found by networks too, so two images are all that is needed.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor

from .blending import Picture, Region, dilated, eroded, joined
from .landmarks import Landmarks, heat_maps, part_way

BACKGROUND, FACE = 0, 1  # classes of the segmentation; others belong to the head


@runtime_checkable
class Networks(Protocol):
    """landmarks      images → landmarks
    segmenter      images → scores (b, k, h, w)
    reenactment    image and heat maps, (b, 3 + p, h, w) → images of a head on grey
    inpainting     image without the hole, and the hole, (b, 4, h, w) → images
    blending       pasted and target picture, and the region, (b, 7, h, w) → what is to be added to the pasted one
    """

    landmarks: Any
    segmenter: Any
    reenactment: Any
    inpainting: Any
    blending: Any


class Swapped(NamedTuple):
    """What the steps made, each (b, 3, h, w); `region` (b, h, w), the part of the target that was replaced, and `hole`, the
    part of it that was made up."""

    reenacted: Picture
    completed: Picture
    pasted: Picture
    blended: Picture
    region: Region
    hole: Region


def reenacted(networks: Networks, source: Picture, start: Landmarks, aim: Landmarks, steps: int = 2) -> Picture:
    """The source with the landmarks `aim`, in `steps` equal turns from its own, `start`."""
    height, width = source.shape[2:]
    made = source
    for step in range(1, steps + 1):
        there = aim if step == steps else part_way(start, aim, step / steps)
        made = networks.reenactment(torch.cat([made, heat_maps(there, height, width)], 1)).float()
    return made


def classes_of(networks: Networks, image: Picture) -> Int[Tensor, "b h w"]:
    return networks.segmenter(image).argmax(1)


def completed(networks: Networks, image: Picture, hole: Region) -> Picture:
    """The image with the hole filled."""
    known = image * ~hole[:, None]
    made = networks.inpainting(torch.cat([known, hole[:, None].float()], 1)).float()
    return joined(made, image, hole)


def blended(networks: Networks, source: Picture, target: Picture, region: Region) -> tuple[Picture, Picture]:
    """The source's region in the target: as it is, and with the colours that the network gives it."""
    pasted = joined(source, target, region)
    change = networks.blending(torch.cat([pasted, target, region[:, None].float()], 1)).float()
    return pasted, joined((pasted + change).clamp(-1, 1), target, region)


def margin(height: int) -> int:
    """Pixels by which the region is smaller than the face, so that its boundary runs through skin."""
    return max(height // 32, 1)


def swapped(networks: Networks, source: Picture, target: Picture, steps: int = 2) -> Swapped:
    """The target with the face of the source."""
    made = reenacted(networks, source, networks.landmarks(source).float(), networks.landmarks(target).float(), steps)
    region = eroded(classes_of(networks, target) == FACE, margin(target.shape[2]))
    hole = dilated(region, 1) & (classes_of(networks, made) != FACE)  # a pixel more: gradients at the boundary need it
    whole = completed(networks, made, hole)
    pasted, after = blended(networks, whole, target, region)
    return Swapped(made, whole, pasted, after, region, hole)
