"""Faster R-CNN: one network proposes regions, and heads on the same maps classify and refine them; with masks, Mask
R-CNN.

    Fast R-CNN     Girshick 2015                  arXiv:1504.08083   regions from elsewhere (`given`)
    Faster R-CNN   Ren, He, Girshick & Sun 2015   arXiv:1506.01497
    FPN            Lin et al. 2016                arXiv:1612.03144
    Mask R-CNN     He, Gkioxari, Dollár & Girshick 2017   arXiv:1703.06870   a third head (`masks`)

Parameter names, constants and thresholds are torchvision's, whose weights load strictly. Differences: losses are in the
task and resizing in preprocessing, not here; samples are drawn by key; images are only zero-padded on the right and at
the bottom to a multiple of 32 pixels, and batch padding is set to 0.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sightline.decoding.detections import detections
from sightline.errors import UsageError
from sightline.layers.boxes.anchors import anchors, decode
from sightline.layers.boxes.regions import pyramid_roi_align
from sightline.models.catalogue import MODELS
from sightline.models.pixels.backbones import pad_to_multiple
from sightline.models.residual.resnet import BasicBlock, Bottleneck, ResNet
from sightline.structures.boxes import clip
from sightline.structures.regions import BOX_UNITS, RegionOutputs, RegionTargets, Selection, SelectionRule

from .region_heads import ProposalHead, PyramidBackbone, RegionHeads
from .sampling import Draw, draw, draw_regions, propose

STRIDE = 32  # images are padded to multiples of it, so that every map of the body is half the one before


class RegionNetwork(nn.Module):
    """Normalised images (b, c, h, w) → RegionOutputs. `num_classes` excludes background.

    norm                   of the body: "group" for few images per step, "batch" for published weights
    anchor_sizes, _ratios  side in pixels, one for each of the five levels of the pyramid; height / width
    width, hidden          channels of the pyramid; width of the dense layers of the box head
    proposals              the maximum number of regions per image, in training and in evaluation
    samples                anchors and regions per image in the loss, at most a half and a quarter of them with objects
    masks                  add a mask head
    """

    proposes = True  # numbers decide where it looks next: shapes alone do not run it

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: tuple[int, int, int, int],
        *,
        in_channels: int = 3,
        num_classes: int = 90,
        norm: Literal["batch", "group"] = "group",
        anchor_sizes: tuple[int, ...] = (32, 64, 128, 256, 512),
        anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0),
        width: int = 256,
        hidden: int = 1024,
        proposals: tuple[int, int] = (2000, 1000),
        samples: tuple[int, int] = (256, 512),
        masks: bool = False,
    ) -> None:
        super().__init__()
        if num_classes < 1:
            raise UsageError("a detector needs at least one class", "set num_classes=1 or more")
        if len(anchor_sizes) != 5:
            raise UsageError(f"{len(anchor_sizes)} anchor sizes for five levels", "use anchor_sizes=32,64,128,256,512")
        self.input_size = (in_channels, 800, 800)
        self.smallest = 1
        body = ResNet(block, depths, in_channels=in_channels, num_classes=0, norm=norm)
        self.backbone = PyramidBackbone(body, width)
        self.channels = (width,) * len(anchor_sizes)
        self.rpn = nn.ModuleDict({"head": ProposalHead(width, len(anchor_ratios))})
        self.roi_heads = RegionHeads(width, num_classes, pooled=7, hidden=hidden, masks=masks)
        self.anchor_sizes, self.anchor_ratios = anchor_sizes, anchor_ratios
        self.proposals = proposals
        self.anchor_rule = Draw(0, samples[0], share=0.5, high=0.7, low=0.3, rescue=True)
        self.region_rule = Draw(1, samples[1], share=0.25, high=0.5, low=0.5, rescue=False)

    def features(self, image: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Five maps at strides 4, 8, 16, 32, 64 with `self.channels` channels."""
        return self.backbone(image)

    def forward(
        self,
        image: Float[Tensor, "b c h w"],
        size: Int[Tensor, "b 2"] | None = None,
        targets: RegionTargets | None = None,
        rule: SelectionRule = SelectionRule(),
        given: tuple[Float[Tensor, "r 4"], Int[Tensor, "r"]] | None = None,
    ) -> RegionOutputs:
        """Propose regions and classify them.

        size       height and width of each image without padding; None: no image is padded
        targets    with targets, sampled regions are classified, for the loss; without, all proposals, and `rule` decides
                   which detections remain
        given      regions from elsewhere in place of the proposals: boxes, and the image index of each, in order
        """
        if size is None:
            size = torch.tensor(image.shape[2:], device=image.device).expand(len(image), 2)
        image = pad_and_mask(image, size)
        pyramid = self.features(image)
        logits, deltas = self.rpn["head"](pyramid)
        levels = self.level_anchors([tuple(x.shape[2:]) for x in pyramid], tuple(image.shape[2:]), image.device)
        limit = self.proposals[1 if targets is None else 0]
        proposals, sample = propose(logits, deltas, levels, size, limit) if given is None else given
        all_anchors = torch.cat(levels)  # (a, 4)
        common = torch.cat(logits, 1), torch.cat(deltas, 1), all_anchors  # (b, a), (b, a, 4), (a, 4)
        if targets is not None:
            anchor_draw = draw([all_anchors] * len(image), targets, self.anchor_rule)
            proposals, region_draw = draw_regions(proposals, sample, targets, self.region_rule)
            sample, positive = region_draw.sample, region_draw.truth >= 0
            classified = self._classify(pyramid, proposals, sample, image)
            masks = self._masks(pyramid, proposals[positive], sample[positive], image)
            return RegionOutputs(*common, proposals, sample, *classified, anchor_draw, region_draw, mask_logits=masks)
        classified = self._classify(pyramid, proposals, sample, image)
        detections = select(*classified, proposals, sample, size, rule)
        masks = self._masks(pyramid, detections.boxes, detections.sample, image)
        return RegionOutputs(*common, proposals, sample, *classified, detections=detections, mask_logits=masks)

    def level_anchors(
        self, maps: list[tuple[int, ...]], size: tuple[int, ...], device: torch.device | str = "cpu"
    ) -> list[Tensor]:
        """Anchors (h_i·w_i·n, 4) of each level, rows, columns, ratios: for `maps` (height, width) of an image of `size`."""
        strides = [(size[0] // h, size[1] // w) for h, w in maps]
        sizes, ratios = [(float(side),) for side in self.anchor_sizes], [self.anchor_ratios] * len(maps)
        return anchors(sizes, ratios, strides, [(h, w) for h, w in maps], device)

    def _classify(
        self, pyramid: list[Tensor], boxes: Float[Tensor, "r 4"], sample: Int[Tensor, "r"], image: Tensor
    ) -> tuple[Float[Tensor, "r c"], Float[Tensor, "r c 4"]]:
        """Class logits with background first, and box deltas for each class."""
        pooled = self._pool(pyramid, boxes, sample, image, 7)  # (r, width, 7, 7)
        return self.roi_heads.box_predictor(self.roi_heads.box_head(pooled))

    def _masks(
        self, pyramid: list[Tensor], boxes: Float[Tensor, "m 4"], sample: Int[Tensor, "m"], image: Tensor
    ) -> Float[Tensor, "m c s s"] | None:
        """Mask logits for each class, 28 by 28 over the box; None without a mask head."""
        heads = self.roi_heads
        if heads.mask_head is None or heads.mask_predictor is None:
            return None
        return heads.mask_predictor(heads.mask_head(self._pool(pyramid, boxes, sample, image, 14)))

    def _pool(self, pyramid: list[Tensor], boxes: Tensor, sample: Tensor, image: Tensor, cells: int) -> Tensor:
        size = (image.shape[2], image.shape[3])
        return pyramid_roi_align(
            pyramid[:-1], boxes, sample, size=size, output=cells
        )  # the coarsest level has anchors only


def select(
    class_logits: Float[Tensor, "r c"],
    box_deltas: Float[Tensor, "r c 4"],
    proposals: Float[Tensor, "r 4"],
    sample: Int[Tensor, "r"],
    size: Int[Tensor, "b 2"],
    rule: SelectionRule,
) -> Selection:
    """The detections that remain of the classified regions."""
    boxes = refined_boxes(box_deltas, proposals, size[sample])
    score = class_logits.float().softmax(1)[:, 1:]  # (r, k)
    return detections(boxes, score, sample, rule)


def refined_boxes(
    box_deltas: Float[Tensor, "r c 4"], proposals: Float[Tensor, "r 4"], size: Int[Tensor, "r 2"]
) -> Float[Tensor, "r k 4"]:
    """The box of each class for each region, clipped to its image of `size`; background has none."""
    boxes = decode(box_deltas[:, 1:].float(), proposals[:, None], BOX_UNITS)  # (r, k, 4)
    edges = size.repeat_interleave(boxes.shape[1], 0)  # (r·k, 2)
    return clip(boxes.flatten(0, 1), edges).view_as(boxes)  # (r·k, 4) → (r, k, 4)


def pad_and_mask(image: Float[Tensor, "b c h w"], size: Int[Tensor, "b 2"]) -> Float[Tensor, "b c i j"]:
    """Set the padding of a batch to 0, and pad on the right and at the bottom to multiples of the stride."""
    image = pad_to_multiple(image, STRIDE)
    down = torch.arange(image.shape[2], device=image.device) < size[:, :1]  # (b, h)
    across = torch.arange(image.shape[3], device=image.device) < size[:, 1:]  # (b, w)
    return image.where((down[:, :, None] & across[:, None])[:, None], 0.0)  # (b, 1, h, w)


@MODELS.under("boxes")
def faster_rcnn_resnet18_fpn(**options) -> RegionNetwork:
    """Faster R-CNN (Ren et al. 2015, arXiv:1506.01497) on a ResNet-18 pyramid, group norm.

    28.7 M parameters at (3, 800, 800).
    """
    return RegionNetwork(BasicBlock, (2, 2, 2, 2), masks=False, **options)


@MODELS.under("boxes")
def faster_rcnn_resnet50_fpn(**options) -> RegionNetwork:
    """Faster R-CNN (Ren et al. 2015, arXiv:1506.01497) on a ResNet-50 pyramid (arXiv:1612.03144), as torchvision's.

    41.8 M parameters at (3, 800, 800).
    """
    return RegionNetwork(Bottleneck, (3, 4, 6, 3), norm="batch", masks=False, **options)


@MODELS.under("boxes and masks")
def mask_rcnn_resnet18_fpn(**options) -> RegionNetwork:
    """Mask R-CNN (He et al. 2017, arXiv:1703.06870) on a ResNet-18 pyramid, group norm.

    31.4 M parameters at (3, 800, 800).
    """
    return RegionNetwork(BasicBlock, (2, 2, 2, 2), masks=True, **options)


@MODELS.under("boxes and masks")
def mask_rcnn_resnet50_fpn(**options) -> RegionNetwork:
    """Mask R-CNN (He et al. 2017, arXiv:1703.06870) on a ResNet-50 pyramid, as torchvision's.

    44.5 M parameters at (3, 800, 800).
    """
    return RegionNetwork(Bottleneck, (3, 4, 6, 3), norm="batch", masks=True, **options)
