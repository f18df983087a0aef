"""The patches of many images that activate a unit most, each with its exact receptive field.

    Zeiler & Fergus 2013, arXiv:1311.2901, figure 2; Girshick et al. 2014, arXiv:1311.2524, figure 4

The field of a place follows from the layers before it (`layers.receptive`), clipped to the image. Each patch is then put to
the test: with noise in every pixel outside of its box, the unit's value must stay equal bit for bit; with noise inside, it must
not. Where an operation that the analysis does not know mixes places, the test fails and the whole image counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from sightline.explanation.subject import undisturbed
from sightline.randomness.keyed import integers

from .layers import Layer, Run, activations, stopped_behind

PLACES = 8  # of one image that are considered
OVERLAP = 0.3  # IoU above which the weaker of two patches of one image goes
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Viewing:
    """Images in the network's frame, and the network that looks at them.

    pixels   (n, c, h, w) uint8, on any device
    run      float pixels in 0-255 units through the network
    batch    images of one forward pass
    """

    network: nn.Module
    run: Run
    pixels: UInt8[Tensor, "n c h w"]
    device: torch.device | str = "cpu"
    batch: int = 32

    def of(self, images: Sequence[int]) -> Float[Tensor, "b c h w"]:
        """Some of the images as the network gets them."""
        return self.pixels[list(images)].to(self.device).float()


@dataclass(frozen=True)
class Patch:
    """`image` its number in the sample, `place` (row, column) of the layer's grid, `box` xyxy in pixels of the network's frame,
    the right and lower edge excluded, and the unit's `value`."""

    image: int
    place: tuple[int, int]
    box: Box
    value: float


@dataclass(frozen=True)
class UnitPatches:
    """The patches of one unit, the strongest first.

    tested    whether the boxes are smaller than the image and each passed the test
    refuted   whether the analysis gave a box that the test refuted; then the whole image stands for it
    """

    layer: Layer
    unit: int
    patches: tuple[Patch, ...]
    tested: bool = False
    refuted: bool = False


def top_patches(viewing: Viewing, layers: Sequence[Layer], *, units: int = 6, patches: int = 9) -> list[UnitPatches]:
    """The strongest patches of `units` units of each layer: of those that single out a few images most, by how far the mean of
    their largest values lies above the mean of all, in deviations."""
    found = []
    for layer, peaks in zip(layers, _peaks(viewing, layers), strict=True):
        best = peaks.topk(min(patches, len(peaks)), 0)  # (patches, k)
        contrast = (best.values.mean(0) - peaks.mean(0)) / peaks.std(0, correction=0).clamp(min=1e-12)
        contrast[peaks.amax(0) <= peaks.amin(0)] = -1.0  # the same for every image: dead, or constant
        order = contrast.argsort(descending=True, stable=True)[:units]
        for unit in order[contrast[order] >= 0].tolist():
            # Weaker images cannot hold a patch among the strongest: each of these has at least its own largest value.
            one = _strongest(viewing, layer, unit, best.indices[:, unit].tolist(), patches)
            found.append(_put_to_the_test(viewing, one))
    return found


def _peaks(viewing: Viewing, layers: Sequence[Layer]) -> list[Float[Tensor, "n k"]]:
    """The largest value of each unit in each image, for each layer."""
    parts: dict[str, list[Tensor]] = {layer.name: [] for layer in layers}
    with undisturbed(viewing.network), torch.no_grad(), activations(viewing.network, layers) as kept:
        for part in torch.arange(len(viewing.pixels)).split(viewing.batch):
            kept.clear()
            viewing.run(viewing.of(part.tolist()))
            for layer in layers:
                parts[layer.name].append(kept[layer.name].flatten(2).amax(2).float().cpu())
    return [torch.cat(parts[layer.name]) for layer in layers]


def _strongest(viewing: Viewing, layer: Layer, unit: int, images: Sequence[int], patches: int) -> UnitPatches:
    """The strongest patches in these images, without those that overlap a stronger one of the same image."""
    with undisturbed(viewing.network), torch.no_grad():
        maps = unit_map(viewing, layer, unit, viewing.of(images))  # (b, h, w)
    values, places = maps.flatten(1).topk(min(PLACES, maps[0].numel()), 1)
    rows = []
    for number, image in enumerate(images):
        for value, place in zip(values[number].tolist(), places[number].tolist(), strict=True):
            spot = divmod(int(place), maps.shape[2])
            if (box := box_of(layer, spot, viewing.pixels.shape[2:])) is not None:
                rows.append(Patch(image, spot, box, value))
    rows.sort(key=lambda patch: -patch.value)
    kept: list[Patch] = []
    for row in rows:
        if len(kept) < patches and all(
            row.image != other.image or _iou(row.box, other.box) <= OVERLAP for other in kept
        ):
            kept.append(row)
    return UnitPatches(layer, unit, tuple(kept))


def unit_map(viewing: Viewing, layer: Layer, unit: int, pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b h w"]:
    """The activations of one unit, at all places. The network runs no further than the layer."""
    with activations(viewing.network, [layer]) as kept, stopped_behind(viewing.network, layer):
        viewing.run(pixels)
    return kept[layer.name][:, unit]


def box_of(layer: Layer, place: tuple[int, int], size: Sequence[int]) -> Box | None:
    """The pixels (x0, y0, x1, y1) that a place sees, clipped to an image of `size` (h, w); None where it sees padding only."""
    height, width = int(size[0]), int(size[1])
    if layer.view is None:
        return 0, 0, width, height
    edges = []
    for field, position, side in ((layer.view.width, place[1], width), (layer.view.height, place[0], height)):
        first = max(0, position * field.jump + field.first)
        last = min(side - 1, position * field.jump + field.last)
        if first > last:
            return None
        edges.append((first, last + 1))
    (left, right), (top, bottom) = edges
    return left, top, right, bottom


def _iou(a: Box, b: Box) -> float:
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(0, wide) * max(0, high)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def values_at(maps: Float[Tensor, "b h w"], patches: Sequence[Patch]) -> Float[Tensor, "b"]:
    """Of each patch's own map the value at its place."""
    return torch.stack([one[patch.place] for one, patch in zip(maps, patches, strict=True)])


def inside_of(patches: Sequence[Patch], size: Sequence[int]) -> Float[Tensor, "b 1 h w"]:
    """1 inside of each patch's box, 0 elsewhere."""
    masks = torch.zeros(len(patches), 1, int(size[0]), int(size[1]))
    for mask, patch in zip(masks, patches, strict=True):
        left, top, right, bottom = patch.box
        mask[:, top:bottom, left:right] = 1
    return masks


def _put_to_the_test(viewing: Viewing, one: UnitPatches) -> UnitPatches:
    """Noise outside, then inside of the boxes. The batches are alike in size and order, so that only pixels can differ."""
    size = viewing.pixels.shape[1:]
    whole = (0, 0, int(size[2]), int(size[1]))
    if not one.patches or all(patch.box == whole for patch in one.patches):
        return one
    clean = viewing.of([patch.image for patch in one.patches])
    noise = integers(256, 0, "patch noise", torch.arange(clean.numel())).view_as(clean).to(clean)
    inside = inside_of(one.patches, size[1:]).to(clean)
    with undisturbed(viewing.network), torch.no_grad():
        before, outside_changed, inside_changed = (
            values_at(unit_map(viewing, one.layer, one.unit, _plain(pixels)), one.patches)
            for pixels in (clean, clean * inside + noise * (1 - inside), clean * (1 - inside) + noise * inside)
        )
    if not torch.equal(before, outside_changed):
        kept = {
            patch.image: replace(patch, box=whole) for patch in reversed(one.patches)
        }  # the strongest of each image
        rows = tuple(sorted(kept.values(), key=lambda patch: -patch.value))
        return replace(one, patches=rows, refuted=True)
    return replace(one, tested=bool((before != inside_changed).all()))


def _plain(pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """In one memory format for all: convolutions choose their algorithm, and so the last bit, by it."""
    return torch.empty(pixels.shape, dtype=pixels.dtype, device=pixels.device).copy_(pixels)
