"""YOLOv3-tiny, the small network of the authors of YOLOv3 (Redmon & Farhadi 2018, arXiv:1804.02767): in their program
darknet, not in the paper.

Seven convolutions with 16 to 1,024 channels and pooling between them, and three anchors at every place of two maps:

    stride 32   1024 → 256 ────────────────→ 512 → 3 · (4 + 1 + k)
    stride 16   256 → 128 upsampled + 256 → 256 → 3 · (4 + 1 + k)

The last pooling has stride 1: it repeats the last row and column. The published configuration gives the finer map its
second to fourth smallest anchors; here it has the three smallest, and no anchor serves both maps.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.models.catalogue import MODELS
from sightline.models.residual.darknet import ConvNorm, even
from sightline.models.residual.resnet import Norm

from .yolo_v3 import AnchorNetwork

COCO = (10, 14, 23, 27, 37, 58, 81, 82, 135, 169, 344, 319)
WIDTHS = (16, 32, 64, 128, 256, 512)  # at strides 1, 2, 4, 8, 16, 32


class YoloV3Tiny(AnchorNetwork):
    """Normalised images (b, c, h, w) → AnchorOutputs.

    anchors   width, height of each anchor in pixels, from small to large; the same number for each of the two maps
    width     factor on all channels
    norm      "group" where batches are too small for batch statistics
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 80,
        anchors: tuple[float, ...] = COCO,
        width: float = 1.0,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(in_channels, num_classes, anchors, maps=2)
        widths = tuple(even(w, width) for w in WIDTHS)
        self.channels = (*widths[:5], even(1024, width))
        self.stages = nn.ModuleList(
            ConvNorm(i, o, 3, norm=norm) for i, o in zip((in_channels, *widths), widths, strict=False)
        )
        self.last = ConvNorm(widths[-1], self.channels[-1], 3, norm=norm)
        half, quarter = even(256, width), even(128, width)
        self.shared = ConvNorm(self.channels[-1], half, 1, norm=norm)
        self.reduce = ConvNorm(half, quarter, 1, norm=norm)
        inputs = (half, quarter + widths[4])
        outputs = (even(512, width), even(256, width))
        self.heads = nn.ModuleList(ConvNorm(i, o, 3, norm=norm) for i, o in zip(inputs, outputs, strict=True))
        self.predictors = nn.ModuleList(nn.Conv2d(o, self.outputs, 1) for o in outputs)
        for predictor in self.predictors:
            assert isinstance(predictor, nn.Conv2d)
            self.start(predictor)

    def features(self, image: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Six maps at strides 1, 2, 4, 8, 16, 32 with `self.channels` channels."""
        maps = []
        x = image
        for level, stage in enumerate(self.stages):
            x = stage(F.max_pool2d(x, 2) if level else x)
            maps.append(x)
        x = F.max_pool2d(F.pad(x, (0, 1, 0, 1), mode="replicate"), 2, stride=1)
        return [*maps[:-1], self.last(x)]

    def predict_maps(self, image: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b e _ _"]]:
        """Predictions at strides 32 and 16."""
        maps = self.features(image)
        coarse = self.shared(maps[-1])
        fine = torch.cat((F.interpolate(self.reduce(coarse), scale_factor=2.0), maps[-2]), 1)
        return [
            predictor(head(x)) for predictor, head, x in zip(self.predictors, self.heads, (coarse, fine), strict=True)
        ]


@MODELS.under("boxes")
def yolo_v3_tiny(**options) -> YoloV3Tiny:
    """YOLOv3-tiny (darknet, by the authors of arXiv:1804.02767): 8.9 M parameters at (3, 416, 416)."""
    return YoloV3Tiny(**options)
