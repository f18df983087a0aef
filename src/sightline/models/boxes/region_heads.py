"""The modules of region networks. Parameter names are torchvision's.

PyramidBackbone   a ResNet with a feature pyramid (arXiv:1612.03144): five maps at strides 4 to 64 ProposalHead
objectness and box deltas of every anchor (Ren et al. 2015, arXiv:1506.01497) DenseHead         two dense layers, then
BoxPredictor: class and box deltas of every region (Girshick 2015, arXiv:1504.08083) MaskHead          four
convolutions, then MaskPredictor: a mask for every class (He et al. 2017, arXiv:1703.06870)
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.layers.convolution.pyramid import FeaturePyramid, LastLevelMaxPool
from sightline.layers.initialise import he_out
from sightline.models.residual.resnet import ResNet


class PyramidBackbone(nn.Module):
    """`body.features` → pyramid: maps of `width` channels at strides 4, 8, 16, 32, 64."""

    def __init__(self, body: ResNet, width: int) -> None:
        super().__init__()
        self.body = body
        self.fpn = FeaturePyramid(body.channels, width, coarsest=LastLevelMaxPool())

    def forward(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b d _ _"]]:
        """Images → five maps (b, width, ., .) at strides 4, 8, 16, 32, 64."""
        return self.fpn(self.body.features(x))


class ProposalHead(nn.Module):
    """A 3x3 convolution and two 1x1s, shared by all maps of a pyramid."""

    def __init__(self, width: int, anchors: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(inplace=True)))
        self.cls_logits = nn.Conv2d(width, anchors, 1)
        self.bbox_pred = nn.Conv2d(width, anchors * 4, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)

    def forward(
        self, pyramid: list[Float[Tensor, "b d _ _"]]
    ) -> tuple[list[Float[Tensor, "b _"]], list[Float[Tensor, "b _ 4"]]]:
        """For each map: objectness (b, h·w·n) and deltas (b, h·w·n, 4), in the order of `anchors`: row, column, anchor."""
        logits, deltas = [], []
        for x in pyramid:
            t = self.conv(x)
            logits.append(self.cls_logits(t).permute(0, 2, 3, 1).flatten(1))  # (b, n, h, w) → (b, h·w·n)
            moves = self.bbox_pred(t).permute(0, 2, 3, 1)  # (b, h, w, n·4)
            deltas.append(moves.reshape(x.shape[0], -1, 4))  # (b, h·w·n, 4)
        return logits, deltas


class DenseHead(nn.Module):
    """Two dense layers: a pooled region → `hidden` numbers."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.fc6, self.fc7 = nn.Linear(inputs, hidden), nn.Linear(hidden, hidden)

    def forward(self, x: Float[Tensor, "r d s s"]) -> Float[Tensor, "r f"]:
        """(r, d, s, s) → (r, hidden)."""
        return F.relu(self.fc7(F.relu(self.fc6(x.flatten(1)))))  # (r, d·s·s) → (r, f)


class BoxPredictor(nn.Module):
    """Class logits, background first, and box deltas for each class."""

    def __init__(self, hidden: int, classes: int) -> None:
        super().__init__()
        self.cls_score = nn.Linear(hidden, classes + 1)
        self.bbox_pred = nn.Linear(hidden, (classes + 1) * 4)

    def forward(self, x: Float[Tensor, "r f"]) -> tuple[Float[Tensor, "r c"], Float[Tensor, "r c 4"]]:
        """(r, hidden) → class logits (r, classes + 1) and box deltas (r, classes + 1, 4)."""
        return self.cls_score(x), self.bbox_pred(x).unflatten(1, (-1, 4))  # (r, c·4) → (r, c, 4)


class MaskHead(nn.Sequential):
    """Four 3x3 convolutions with ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__(
            *(nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(inplace=True)) for _ in range(4))
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                he_out(layer.weight)
                nn.init.zeros_(layer.bias)


class MaskPredictor(nn.Module):
    """Upsampling by 2, then a mask for each class, background first (whose mask is never used)."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.conv5_mask = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.mask_fcn_logits = nn.Conv2d(width, classes + 1, 1)
        nn.init.kaiming_normal_(self.conv5_mask.weight, mode="fan_out", nonlinearity="relu")
        # as in detectron2: by fan-out the first masks would be confident and wrong
        nn.init.normal_(self.mask_fcn_logits.weight, std=0.001)

    def forward(self, x: Float[Tensor, "m d s s"]) -> Float[Tensor, "m c z z"]:
        """(m, width, s, s) → mask logits (m, classes + 1, 2s, 2s)."""
        return self.mask_fcn_logits(F.relu(self.conv5_mask(x)))


class RegionHeads(nn.Module):
    """The heads of a region: class and box, and with `masks` its pixels."""

    def __init__(self, width: int, classes: int, *, pooled: int, hidden: int, masks: bool) -> None:
        super().__init__()
        self.box_head = DenseHead(width * pooled * pooled, hidden)
        self.box_predictor = BoxPredictor(hidden, classes)
        self.mask_head = MaskHead(width) if masks else None
        self.mask_predictor = MaskPredictor(width, classes) if masks else None
