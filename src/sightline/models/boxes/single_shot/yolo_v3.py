"""YOLOv3: Redmon & Farhadi 2018, "YOLOv3: an incremental improvement" (arXiv:1804.02767).

Three anchors at every place of three maps, at strides 32, 16 and 8. Each predicts a centre inside its cell, a size in
units of the anchor, objectness, and a logit for each class. A map is five convolutions on the trunk's map of its stride
and on the coarser map, upsampled (section 2.3):

    stride 32   1024 → 512 1024 512 1024 512 ────→ 1024 → 3 · (4 + 1 + k)
    stride 16   256 upsampled + 512 → 256 512 256 512 256 → 512 → …
    stride 8    128 upsampled + 256 → 128 256 128 256 128 → 256 → …

Nine anchors, in pixels of the images, come from k-means on the sizes of the training boxes (`layers.boxes.clusters`); the
published ones are COCO's at 416 pixels.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.layers.boxes.anchor_cells import anchor_grid, decode_cells
from sightline.models.catalogue import MODELS
from sightline.models.pixels.backbones import pad_to_multiple
from sightline.models.residual.darknet import DEPTHS, ConvNorm, Darknet, even
from sightline.models.residual.resnet import Norm
from sightline.structures.grids import AnchorOutputs, AnchorPredictions

STRIDE = 32
COCO = (10, 13, 16, 30, 33, 23, 30, 61, 62, 45, 59, 119, 116, 90, 156, 198, 373, 326)
_RARE = 0.01  # objectness at the start: most anchors have no object


class ScaleHead(nn.Module):
    """Five convolutions, and after a sixth the predictions of all anchors of a map."""

    def __init__(self, inputs: int, width: int, outputs: int, norm: Norm) -> None:
        super().__init__()
        sizes = (
            (inputs, width, 1),
            (width, 2 * width, 3),
            (2 * width, width, 1),
            (width, 2 * width, 3),
            (2 * width, width, 1),
        )
        self.body = nn.Sequential(*(ConvNorm(i, o, kernel, norm=norm) for i, o, kernel in sizes))
        self.last = ConvNorm(width, 2 * width, 3, norm=norm)
        self.output = nn.Conv2d(2 * width, outputs, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b d h w"], Float[Tensor, "b e h w"]]:
        """The map for the next finer scale (b, width, h, w), and the predictions (b, outputs, h, w)."""
        x = self.body(x)
        return x, self.output(self.last(x))


class AnchorNetwork(nn.Module):
    """Normalised images (b, c, h, w) → AnchorOutputs: what networks with anchors at every place of some maps share. A subclass
    builds the layers and answers `predict_maps`.

    anchors   width, height of each anchor in pixels, from small to large; the same number for each of the maps
    maps      number of maps, at strides 32, 16, …
    """

    def __init__(self, in_channels: int, num_classes: int, anchors: tuple[float | int, ...], maps: int) -> None:
        super().__init__()
        if num_classes < 1:
            raise UsageError("a detector needs at least one class", "set num_classes=1 or more")
        if not anchors or len(anchors) % (2 * maps) or min(anchors) <= 0:
            numbers = {2: "2, 4 or 6", 3: "3, 6 or 9"}[maps]
            raise UsageError(
                f"{len(anchors)} numbers are no anchors for {['two', 'three'][maps - 2]} maps",
                f"pass width, height of {numbers}",
            )
        self.input_size = (in_channels, 416, 416)
        self.num_classes = num_classes
        pairs = tuple(zip(anchors[::2], anchors[1::2], strict=True))
        each = len(pairs) // maps
        self.anchors = tuple(pairs[i * each : (i + 1) * each] for i in reversed(range(maps)))  # coarse to fine
        self.outputs = each * (5 + num_classes)  # channels that a map's anchors are read from

    @torch.no_grad()
    def start(self, output: nn.Conv2d) -> None:
        """Small weights and a low objectness, so that the many anchors without an object do not drown the first steps."""
        assert output.bias is not None
        nn.init.normal_(output.weight, std=0.01)
        bias = torch.zeros(self.outputs // (5 + self.num_classes), 5 + self.num_classes)
        bias[:, 4] = math.log(_RARE / (1 - _RARE))
        output.bias.copy_(bias.flatten())

    def predict_maps(self, image: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b e _ _"]]:
        """`self.outputs` channels at each place of each map, coarse to fine; sides are multiples of 32."""
        raise NotImplementedError

    def forward(self, image: Float[Tensor, "b c h w"], size: Int[Tensor, "b 2"] | None = None) -> AnchorOutputs:
        """(b, c, h, w) → boxes (b, a, 4) in pixels, and the predictions they are decoded from. Sides are padded to multiples
        of 32; `size` is not used."""
        deltas, objectness, classes, anchors, strides = [], [], [], [], []
        for level, out in enumerate(self.predict_maps(pad_to_multiple(image, STRIDE))):
            own = self.anchors[level]
            numbers = out.unflatten(1, (len(own), -1)).permute(0, 3, 4, 1, 2).flatten(1, 3)  # (b, h · w · n, 5 + k)
            deltas.append(numbers[..., :4])
            objectness.append(numbers[..., 4])
            classes.append(numbers[..., 5:])
            grid, stride = anchor_grid(own, (int(out.shape[2]), int(out.shape[3])), STRIDE // 2**level, out.device)
            anchors.append(grid)
            strides.append(stride)
        predicted = AnchorPredictions(
            torch.cat(deltas, 1),
            torch.cat(objectness, 1),
            torch.cat(classes, 1),
            torch.cat(anchors),
            torch.cat(strides),
        )
        return AnchorOutputs(decode_cells(predicted), predicted)


class YoloV3(AnchorNetwork):
    """Normalised images (b, c, h, w) → AnchorOutputs.

    anchors   width, height of each anchor in pixels, from small to large; the same number for each of the three maps
    width     factor on all channels
    depths    blocks of each stage of the trunk
    norm      "group" where batches are too small for batch statistics
    """

    def __init__(
        self,
        backbone: str,
        *,
        in_channels: int = 3,
        num_classes: int = 80,
        anchors: tuple[float, ...] = COCO,
        width: float = 1.0,
        depths: tuple[int, ...] = DEPTHS,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(in_channels, num_classes, anchors, maps=3)
        if len(depths) != 5:
            raise UsageError(f"{len(depths)} depths for five stages", "use depths=1,2,8,8,4")
        self.backbone = backbone  # a classifier, whose weights the trunk also takes
        self.trunk = Darknet(depths, in_channels=in_channels, num_classes=0, width=width, norm=norm)
        self.channels = self.trunk.channels
        widths = tuple(even(w, width) for w in (512, 256, 128))
        above = (0, *(even(w, width) for w in (256, 128)))
        inputs = [c + a for c, a in zip(self.channels[:1:-1], above, strict=True)]
        self.heads = nn.ModuleList(ScaleHead(i, w, self.outputs, norm) for i, w in zip(inputs, widths, strict=True))
        self.reduce = nn.ModuleList(ConvNorm(w, a, 1, norm=norm) for w, a in zip(widths, above[1:], strict=False))
        for head in self.heads:
            assert isinstance(head, ScaleHead)
            self.start(head.output)

    def features(self, image: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Five maps at strides 2, 4, 8, 16, 32 with `self.channels` channels."""
        return self.trunk.features(image)

    def predict_maps(self, image: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b e _ _"]]:
        """Predictions at strides 32, 16 and 8."""
        finer: Tensor | None = None
        predictions = []
        for level, x in enumerate(self.features(image)[:1:-1]):
            if finer is not None:
                x = torch.cat((F.interpolate(self.reduce[level - 1](finer), scale_factor=2.0), x), 1)
            finer, out = self.heads[level](x)
            predictions.append(out)
        return predictions


@MODELS.under("boxes")
def yolo_v3(**options) -> YoloV3:
    """YOLOv3 on Darknet-53 (Redmon & Farhadi 2018, arXiv:1804.02767): 61.9 M parameters at (3, 416, 416)."""
    return YoloV3("darknet53", **options)
