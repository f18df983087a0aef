"""R-CNN: every proposed region is cut out, warped to one size and sent through the whole network.

    Girshick, Donahue, Darrell & Malik 2014, "Rich feature hierarchies …", arXiv:1311.2524

Training has the three stages of the paper. The trunk learns by gradient descent, as a classifier of warped regions
(`cls_score`). Then a linear support vector machine for each class and a ridge regression of the boxes are fitted to its
features in closed form (`tasks.proposals.fitting`); what they find is in the buffers `svm_*` and `box_*`, and replaces the
classifier. The trunk is a ResNet; the machines read the mean of its last map, the regression the map itself.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.decoding.detections import detections
from sightline.errors import UsageError
from sightline.models.boxes.faster_rcnn import pad_and_mask, refined_boxes
from sightline.models.boxes.sampling import Draw, draw_regions
from sightline.models.catalogue import MODELS
from sightline.models.residual.resnet import BasicBlock, ResNet
from sightline.structures.regions import BOX_UNITS, GivenOutputs, RegionTargets, SelectionRule

from .fast_rcnn import Given, prepared, require_classes

CONTEXT = 16 / 227  # of the side of a warped region, on every side: 16 of 227 pixels in the paper
_PORTION = 64  # regions that go through the trunk at once where no gradient is needed


class RCNN(nn.Module):
    """Normalised images (b, c, h, w) and given regions → GivenOutputs. `num_classes` excludes background.

    side       pixels of a warped region, with the context around it
    regions    where they come from: "fast" or "quality" selective search, or a "fixed" set
    limit      most regions of an image
    samples    regions per image in the loss, at most a quarter of them with objects (IoU ≥ 0.5)
    """

    proposes = True  # numbers decide where it looks: shapes alone do not run it
    fitted = True  # there is a closed-form fit after the last step

    svm_weight: Tensor
    svm_bias: Tensor
    box_weight: Tensor
    box_bias: Tensor
    ready: Tensor

    def __init__(
        self,
        block: type[BasicBlock],
        depths: tuple[int, int, int, int],
        *,
        in_channels: int = 3,
        num_classes: int = 20,
        norm: Literal["batch", "group"] = "group",
        side: int = 128,
        regions: Literal["fast", "quality", "fixed"] = "fast",
        limit: int = 2000,
        samples: int = 32,
    ) -> None:
        super().__init__()
        require_classes(num_classes, regions)
        if side < 32:
            raise UsageError(f"side={side}: the trunk needs warped regions of 32 pixels", "set side=32 or more")
        self.input_size = (in_channels, 600, 800)
        self.smallest = 1
        self.body = ResNet(block, depths, in_channels=in_channels, num_classes=0, norm=norm)
        channels, cells = self.body.channels[-1], -(-side // 32)
        self.channels = self.body.channels
        self.cls_score = nn.Linear(channels, num_classes + 1)
        self.register_buffer("svm_weight", torch.zeros(num_classes, channels))
        self.register_buffer("svm_bias", torch.zeros(num_classes))
        self.register_buffer("box_weight", torch.zeros(num_classes * 4, channels * cells * cells))
        self.register_buffer("box_bias", torch.zeros(num_classes * 4))
        self.register_buffer("ready", torch.zeros(()))  # 1 once they are fitted
        self.side, self.regions, self.limit = side, regions, limit
        self.rule = Draw(1, samples, share=0.25, high=0.5, low=0.5, rescue=False)

    def features(self, image: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Four maps of the trunk, at strides 4, 8, 16, 32."""
        return self.body.features(image)

    def forward(
        self,
        image: Float[Tensor, "b c h w"],
        size: Int[Tensor, "b 2"] | None = None,
        targets: RegionTargets | None = None,
        rule: SelectionRule = SelectionRule(),
        given: Given | None = None,
    ) -> GivenOutputs:
        """Classify the `given` regions, boxes and the image index of each in order; None: each whole image. Arguments are
        those of `FastRCNN.forward`; without targets the outputs hold the features of the regions."""
        size, (regions, sample) = prepared(image, size, given)
        image = pad_and_mask(image, size)
        if targets is not None:
            regions, draw = draw_regions(regions, sample, targets, self.rule)
            pooled, _ = self._describe(image, regions, draw.sample)
            return GivenOutputs(regions, draw.sample, self.cls_score(pooled), draw=draw)
        parts = [
            self._describe(image, *part) for part in zip(regions.split(_PORTION), sample.split(_PORTION), strict=True)
        ]
        pooled, maps = (torch.cat(column) for column in zip(*parts, strict=True))
        logits, deltas = self._classify(pooled, maps)
        scores = logits[:, 1:].sigmoid() if self.ready else logits.softmax(1)[:, 1:]
        kept = detections(refined_boxes(deltas, regions, size[sample]), scores, sample, rule)
        return GivenOutputs(regions, sample, logits, deltas, detections=kept, features=(pooled, maps))

    def _describe(
        self, image: Float[Tensor, "b c h w"], boxes: Float[Tensor, "r 4"], sample: Int[Tensor, "r"]
    ) -> tuple[Float[Tensor, "r f"], Float[Tensor, "r g"]]:
        """The mean of the last map of each warped region, and the map itself."""
        last = self.body.features(warp(image, boxes, sample, self.side))[-1]
        return last.mean((2, 3)), last.flatten(1)

    def _classify(
        self, pooled: Float[Tensor, "r f"], maps: Float[Tensor, "r g"]
    ) -> tuple[Float[Tensor, "r c"], Float[Tensor, "r c 4"]]:
        """Scores with background first, and box deltas of each class: those of the fit once there is one."""
        classes = len(self.svm_bias)
        if not self.ready:
            return self.cls_score(pooled), maps.new_zeros(len(maps), classes + 1, 4)
        margin = pooled @ self.svm_weight.T + self.svm_bias  # (r, k)
        deltas = (maps @ self.box_weight.T + self.box_bias).unflatten(1, (classes, 4)) * maps.new_tensor(BOX_UNITS)
        background = torch.zeros_like(margin[:, :1])
        return torch.cat([background, margin], 1), torch.cat([torch.zeros_like(deltas[:, :1]), deltas], 1)


def warp(
    image: Float[Tensor, "b c h w"], boxes: Float[Tensor, "r 4"], sample: Int[Tensor, "r"], side: int
) -> Float[Tensor, "r c s s"]:
    """Each box stretched to `side` x `side` pixels with its surroundings, `CONTEXT` of the side all around; what lies outside
    of the image is 0, the mean of normalised pixels."""
    grown = (boxes[:, 2:] - boxes[:, :2]) * (CONTEXT / (1 - 2 * CONTEXT))
    low, extent = boxes[:, :2] - grown, boxes[:, 2:] - boxes[:, :2] + 2 * grown  # (r, 2): x, y
    centre = (torch.arange(side, device=boxes.device) + 0.5) / side
    place = low[:, :, None] + extent[:, :, None] * centre  # (r, 2, s) in pixels
    place = 2 * place / place.new_tensor([image.shape[3], image.shape[2]])[:, None] - 1
    x, y = (p.to(image.dtype) for p in place.unbind(1))  # (r, s)
    grid = torch.stack([x[:, None].expand(-1, side, -1), y[:, :, None].expand(-1, -1, side)], 3)  # (r, s, s, 2)
    warped = image.new_zeros(len(boxes), image.shape[1], side, side)
    for row in range(len(image)):  # the regions of an image below each other in one grid: no copies of the image
        here = (sample == row).nonzero()[:, 0]
        column = F.grid_sample(image[row : row + 1], grid[here].view(1, -1, side, 2), align_corners=False)
        warped[here] = column[0].unflatten(1, (len(here), side)).transpose(0, 1)  # (c, r·s, s) → (r, c, s, s)
    return warped


@MODELS.under("boxes")
def rcnn_resnet18(**options) -> RCNN:
    """R-CNN (Girshick et al. 2014, arXiv:1311.2524) with a ResNet-18 trunk, group norm; regions by selective search.

    11.2 M parameters at (3, 600, 800).
    """
    return RCNN(BasicBlock, (2, 2, 2, 2), **options)
