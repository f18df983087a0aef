"""Fast R-CNN: one map of the whole image, from which every given region is pooled, classified and refined.

    Fast R-CNN      Girshick 2015          arXiv:1504.08083   proposals by selective search, RoI pooling, two heads, end to end
    on a pyramid    Lin et al. 2016        arXiv:1612.03144   each region is pooled from the level that fits its size
    R-CNN minus R   Lenc & Vedaldi 2015    arXiv:1506.06981   the same fixed boxes for every image instead of proposals

Trunk, pyramid, heads and parameter names are those of `faster_rcnn` without its proposal head. Two things differ from the
paper: regions are pooled from a pyramid, because at 320 pixels a map of stride 16 has one pixel for a small object; and
regions below an IoU of 0.1 count as background too, as in Faster R-CNN.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.layers.boxes.regions import pyramid_level, roi_pool
from sightline.models.boxes.faster_rcnn import pad_and_mask, select
from sightline.models.boxes.region_heads import PyramidBackbone, RegionHeads
from sightline.models.boxes.sampling import Draw, draw_regions
from sightline.models.catalogue import MODELS
from sightline.models.residual.resnet import BasicBlock, Bottleneck, ResNet
from sightline.structures.regions import GivenOutputs, RegionTargets, SelectionRule

POOLED = 7  # cells along a side of a pooled region, as in the paper
_STEPS = (2, 3, 4, 5)  # log2 of the strides of the maps that regions are pooled from
Given = tuple[Float[Tensor, "r 4"], Int[Tensor, "r"]]


class FastRCNN(nn.Module):
    """Normalised images (b, c, h, w) and given regions → GivenOutputs. `num_classes` excludes background.

    norm            of the body: "group" for few images per step, "batch" for published weights
    width, hidden   channels of the pyramid; width of the dense layers of the box head
    regions         where they come from: "fast" or "quality" selective search, or a "fixed" set
    limit           most regions of an image
    samples         regions per image in the loss, at most a quarter of them with objects (IoU ≥ 0.5)
    """

    proposes = True  # numbers decide what it pools: shapes alone do not run it
    fitted = False

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: tuple[int, int, int, int],
        *,
        in_channels: int = 3,
        num_classes: int = 20,
        norm: Literal["batch", "group"] = "group",
        width: int = 256,
        hidden: int = 1024,
        regions: Literal["fast", "quality", "fixed"] = "fast",
        limit: int = 2000,
        samples: int = 64,
    ) -> None:
        super().__init__()
        require_classes(num_classes, regions)
        self.input_size = (in_channels, 600, 800)
        self.smallest = 1
        body = ResNet(block, depths, in_channels=in_channels, num_classes=0, norm=norm)
        self.backbone = PyramidBackbone(body, width)
        self.channels = (width,) * 5
        self.roi_heads = RegionHeads(width, num_classes, pooled=POOLED, hidden=hidden, masks=False)
        self.regions, self.limit = regions, limit
        self.rule = Draw(1, samples, share=0.25, high=0.5, low=0.5, rescue=False)

    def features(self, image: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Five maps at strides 4, 8, 16, 32, 64 with `self.channels` channels."""
        return self.backbone(image)

    def forward(
        self,
        image: Float[Tensor, "b c h w"],
        size: Int[Tensor, "b 2"] | None = None,
        targets: RegionTargets | None = None,
        rule: SelectionRule = SelectionRule(),
        given: Given | None = None,
    ) -> GivenOutputs:
        """Classify and refine the `given` regions, boxes and the image index of each in order; None: each whole image.

        size       height and width of each image without padding; None: no image is padded
        targets    with targets, sampled regions are classified, for the loss; without, all, and `rule` decides which
                   detections remain
        """
        size, (regions, sample) = prepared(image, size, given)
        image = pad_and_mask(image, size)
        pyramid = self.features(image)
        if targets is None:
            classified = self._classify(pyramid, regions, sample)
            return GivenOutputs(
                regions, sample, *classified, detections=select(*classified, regions, sample, size, rule)
            )
        regions, draw = draw_regions(regions, sample, targets, self.rule)
        return GivenOutputs(regions, draw.sample, *self._classify(pyramid, regions, draw.sample), draw=draw)

    def _classify(
        self, pyramid: list[Tensor], boxes: Float[Tensor, "r 4"], sample: Int[Tensor, "r"]
    ) -> tuple[Float[Tensor, "r c"], Float[Tensor, "r c 4"]]:
        """Class logits with background first, and box deltas for each class."""
        level = pyramid_level(boxes, _STEPS)
        pooled = pyramid[0].new_zeros(len(boxes), pyramid[0].shape[1], POOLED, POOLED)
        for i, step in enumerate(_STEPS):
            here = (level == i).nonzero()[:, 0]
            part = roi_pool(pyramid[i], boxes[here], sample[here], output=POOLED, scale=2.0**-step)
            pooled = pooled.index_copy(0, here, part)
        return self.roi_heads.box_predictor(self.roi_heads.box_head(pooled))


def require_classes(num_classes: int, regions: str) -> None:
    """UsageError for a detector without classes, or for regions from nowhere."""
    if num_classes < 1:
        raise UsageError("a detector needs at least one class", "set num_classes=1 or more")
    if regions not in ("fast", "quality", "fixed"):
        raise UsageError(f"regions={regions} cannot be proposed", "use fast, quality or fixed")


def prepared(
    image: Float[Tensor, "b c h w"], size: Int[Tensor, "b 2"] | None, given: Given | None
) -> tuple[Int[Tensor, "b 2"], Given]:
    """The size of each image, and the given regions; without them the whole images."""
    if size is None:
        size = torch.tensor(image.shape[2:], device=image.device).expand(len(image), 2)
    if given is None:
        whole = torch.cat([torch.zeros_like(size), size.flip(1)], 1).to(image.dtype)  # (b, 4)
        given = whole, torch.arange(len(image), device=image.device)
    return size, given


@MODELS.under("boxes")
def fast_rcnn_resnet18_fpn(**options) -> FastRCNN:
    """Fast R-CNN (Girshick 2015, arXiv:1504.08083) on a ResNet-18 pyramid, group norm; regions by selective search.

    27.8 M parameters at (3, 600, 800).
    """
    return FastRCNN(BasicBlock, (2, 2, 2, 2), **options)


@MODELS.under("boxes")
def fast_rcnn_resnet50_fpn(**options) -> FastRCNN:
    """Fast R-CNN (Girshick 2015, arXiv:1504.08083) on a ResNet-50 pyramid; regions by selective search.

    40.9 M parameters at (3, 600, 800).
    """
    return FastRCNN(Bottleneck, (3, 4, 6, 3), norm="batch", **options)


@MODELS.under("boxes")
def rcnn_minus_r_resnet18_fpn(**options) -> FastRCNN:
    """R-CNN minus R (Lenc & Vedaldi 2015, arXiv:1506.06981) on a ResNet-18 pyramid: fixed boxes instead of proposals.

    27.8 M parameters at (3, 600, 800).
    """
    return FastRCNN(BasicBlock, (2, 2, 2, 2), **{"regions": "fixed"} | options)
