"""GoogLeNet: Szegedy et al. 2014, arXiv:1409.4842. Three convolutions, nine inception modules
(`layers.convolution.inception`), the mean of the last map instead of dense layers, a linear head: 22 layers deep. Two
auxiliary heads are trained along.

    googlenet_paper   as printed: biases and no batch norm, local response normalisation in the stem, 40 % dropout
    googlenet         torchvision's: batch norm after each convolution (arXiv:1502.03167), and where its code departs from
                      the paper: a 3x3 in place of each 5x5, a last pooling of 2x2, 20 % dropout

Auxiliary heads feed gradient into the middle: in training mode the network returns `WithAuxiliaries`, in evaluation
mode the scores alone. `describe` lists the heads as layers that do not run, and counts their parameters. Without them
the paper's network has 6,998,552 parameters and 1,582,671,872 multiply-adds:

    sightline describe googlenet_paper aux=false

Seven parameter counts in the paper's table do not follow from the widths beside them, and those of 3b and 4b are one
off; the widths are right.

Parameter names are torchvision's, so its weights load with strict=True. They were trained on pixels between -1 and 1,
to which torchvision converts inside the network (`transform_input`); here preprocessing does it, with mean and
deviation 127.5. `googlenet` is initialised as torchvision's: weights from a Gaussian of deviation 0.01, biases as in
torch's Linear. The paper gives neither its initialisation nor the constants of its response normalisation: He's
Gaussian of variance 2 / fan-in and AlexNet's constants are used. An auxiliary head whose map is not 14x14 pools once
more, to 4x4, as torchvision's does.
"""

from __future__ import annotations

from functools import partial
from typing import Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from sightline.layers.convolution.inception import Inception, Unit
from sightline.layers.dropout import require_share
from sightline.layers.initialise import initialise, normal
from sightline.layers.normalisation import LocalResponseNorm
from sightline.models.catalogue import MODELS
from sightline.models.sizes import require_at_least


class Edition(NamedTuple):
    """Where the two networks of this name differ."""

    batch_norm: (
        bool  # after each convolution; without it convolutions have biases, and the stem normalises local responses
    )
    largest: int  # kernel size of a module's third branch
    last_pool: int  # kernel size of the last max-pooling
    dropout: float  # before the head
    aux_pool: int  # kernel size of a head's average pooling at stride 3; 1: none, the map is pooled to 4x4 directly


PAPER = Edition(batch_norm=False, largest=5, last_pool=3, dropout=0.4, aux_pool=5)
TORCHVISION = Edition(batch_norm=True, largest=3, last_pool=2, dropout=0.2, aux_pool=1)


class WithAuxiliaries(NamedTuple):
    """The output in training mode with auxiliary heads: three sets of scores, in torchvision's order."""

    scores: Float[Tensor, "b k"]
    aux2: Float[Tensor, "b k"]
    aux1: Float[Tensor, "b k"]


class AuxiliaryHead(nn.Module):
    """Scores from an intermediate map: average-pooled to 4x4, a 1x1 to 128 channels, 1024 units with 70 % dropout."""

    def __init__(self, inputs: int, classes: int, edition: Edition) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(edition.aux_pool, stride=3) if edition.aux_pool > 1 else nn.Identity()
        self.to4x4 = nn.AdaptiveAvgPool2d(4)
        self.conv = Unit(inputs, 128, batch_norm=edition.batch_norm)
        self.fc1, self.fc2 = nn.Linear(128 * 4 * 4, 1024), nn.Linear(1024, classes)
        self.relu, self.dropout = nn.ReLU(inplace=True), nn.Dropout(0.7)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Map (b, inputs, h, w) → scores (b, classes)."""
        y = self.conv(self.to4x4(self.pool(x)))  # (b, 128, 4, 4)
        return self.fc2(self.dropout(self.relu(self.fc1(y.flatten(1)))))


class GoogLeNet(nn.Module):
    """Maps images to class scores, or to maps at strides 2, 4, 8, 16, 32.

    aux            two more heads, on modules 4a and 4d, used in training mode only
    dropout        rate of dropping before the head; "published": the edition's
    small_images   for images of about 32 pixels: a first 3x3 without stride and pooling, so strides 1, 1, 2, 4, 8
    """

    def __init__(
        self,
        edition: Edition,
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        aux: bool = True,
        dropout: float | Literal["published"] = "published",
        small_images: bool = False,
    ) -> None:
        super().__init__()
        share = edition.dropout if dropout == "published" else dropout
        require_share(share)
        self.input_size = (in_channels, 32, 32) if small_images else (in_channels, 224, 224)
        self.channels = (64, 192, 480, 832, 1024)

        def smallest(cells: int) -> int:
            """The side of the image for which stage 4 has that many pixels."""
            return 4 * cells if small_images else 16 * cells - 1

        self.smallest = smallest(edition.last_pool - 1)  # ceil_mode lets a pooling overlap the edge by one pixel
        self.smallest_to_train = max(self.smallest, smallest(edition.aux_pool))  # with auxiliary heads

        unit = partial(Unit, batch_norm=edition.batch_norm)
        module = partial(Inception, batch_norm=edition.batch_norm, largest=edition.largest)
        pool = partial(nn.MaxPool2d, stride=2, ceil_mode=True)
        damp = nn.Identity if edition.batch_norm else LocalResponseNorm
        self.conv1 = unit(in_channels, 64, 3) if small_images else unit(in_channels, 64, 7, stride=2)
        self.maxpool1 = nn.Identity() if small_images else pool(3)
        self.lrn1, self.lrn2 = damp(), damp()
        self.conv2 = unit(64, 64)
        self.conv3 = unit(64, 192, 3)
        self.maxpool2 = pool(3)
        self.inception3a = module(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = module(256, 128, 128, 192, 32, 96, 64)
        self.maxpool3 = pool(3)
        self.inception4a = module(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = module(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = module(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = module(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = module(528, 256, 160, 320, 32, 128, 128)
        self.maxpool4 = pool(edition.last_pool)
        self.inception5a = module(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = module(832, 384, 192, 384, 48, 128, 128)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(share)
        self.fc = nn.Linear(1024, num_classes) if num_classes else None
        self.aux1 = AuxiliaryHead(512, num_classes, edition) if num_classes and aux else None
        self.aux2 = AuxiliaryHead(528, num_classes, edition) if num_classes and aux else None
        if not edition.batch_norm:
            initialise(self, "he")  # with smaller weights no signal would reach the head
            return
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                normal(layer.weight)

    def features(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """The inputs of the poolings: conv1, conv3, 3b, 4e, 5b, with `self.channels` channels."""
        c1, c3, c3b, _, _, c4e, c5b = self._maps(x)
        return [c1, c3, c3b, c4e, c5b]

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"] | WithAuxiliaries:
        """Class scores (b, num_classes); `WithAuxiliaries` in training mode; with num_classes=0 the vector (b, 1024)."""
        if self.training and self.aux1 is not None:
            require_at_least(x, self.input_size[0], self.smallest_to_train)
        *_, c4a, c4d, _, c5b = self._maps(x)
        vector = self.dropout(self.avgpool(c5b).flatten(1))  # (b, 1024)
        if self.fc is None:
            return vector
        scores = self.fc(vector)
        if self.training and self.aux1 is not None and self.aux2 is not None:
            return WithAuxiliaries(scores, self.aux2(c4d), self.aux1(c4a))
        return scores

    def _maps(self, x: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b _ _ _"], ...]:
        require_at_least(x, self.input_size[0], self.smallest)
        c1 = self.conv1(x)  # (b, 64, h/2, w/2)
        c3 = self.conv3(self.conv2(self.lrn1(self.maxpool1(c1))))  # (b, 192, h/4, w/4)
        c3a = self.inception3a(self.maxpool2(self.lrn2(c3)))  # (b, 256, h/8, w/8)
        c3b = self.inception3b(c3a)  # (b, 480, h/8, w/8)
        c4a = self.inception4a(self.maxpool3(c3b))  # (b, 512, h/16, w/16)
        c4d = self.inception4d(self.inception4c(self.inception4b(c4a)))  # (b, 528, h/16, w/16)
        c4e = self.inception4e(c4d)  # (b, 832, h/16, w/16)
        c5a = self.inception5a(self.maxpool4(c4e))  # (b, 832, h/32, w/32)
        return c1, c3, c3b, c4a, c4d, c4e, self.inception5b(c5a)  # last (b, 1024, h/32, w/32)


# ----------------------------------------------------------------------------------------------------------- variants
@MODELS.register
def googlenet(**options) -> GoogLeNet:
    """GoogLeNet in torchvision's form (batch norm), Szegedy et al. 2014, arXiv:1409.4842.

    13.0 M parameters at (3, 224, 224).
    """
    return GoogLeNet(TORCHVISION, **options)


@MODELS.register
def googlenet_paper(**options) -> GoogLeNet:
    """GoogLeNet, Szegedy et al. 2014, arXiv:1409.4842, table 1, with both auxiliary heads.

    13.4 M parameters at (3, 224, 224).
    """
    return GoogLeNet(PAPER, **options)
