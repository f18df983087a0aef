"""AlexNet: Krizhevsky, Sutskever & Hinton 2012, "ImageNet classification with deep convolutional neural networks".

Five convolutions, three overlapping poolings (3x3 at stride 2), three dense layers:

                        11x11/4  5x5   3x3   3x3   3x3   parameters
    alexnet_original    96       256   384   384   256   60,965,224   conv2, conv4, conv5 in two groups, one per GPU
    alexnet_table       96       256   384   384   256   62,378,344   without groups, as it is usually drawn
    alexnet             64       192   384   256   256   61,100,840   one tower: Krizhevsky 2014, arXiv:1404.5997

The first two take 227x227 pixels: (227 - 11) / 4 + 1 = 55, whereas the paper's 224 gives a fraction. After conv1 and
conv2 they apply local response normalisation over the maps of both groups, as the paper's formula says. They are
initialised from its Gaussian of deviation 0.01, with biases of 1 in conv2, conv4, conv5, fc6 and fc7, so that signals
pass the first rectifiers. The paper's pixels range from 0 to 255, less their mean; with smaller ones learning starts
slowly. Its 650,000 neurons are the 659,272 outputs of convolutions and dense layers.

`alexnet` is torchvision's: 224 pixels padded by 2, no response normalisation, dropout before fc6 and fc7 instead of
after them, and torch's default initialisation. Its weights load with strict=True (`as_torchvision`). As there, a last
map of another size is average-pooled to 6x6, in all three variants; at the published size it is 6x6 already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from sightline.layers.dropout import require_share
from sightline.layers.initialise import initialise
from sightline.layers.normalisation import LocalResponseNorm
from sightline.models.catalogue import MODELS
from sightline.models.sizes import require_at_least


class AlexNetConfig(NamedTuple):
    """A row of the table above, and its image size. `of_2012`: with the paper's normalisation, dropout and initialisation."""

    widths: tuple[int, int, int, int, int]
    side: int
    padding: int = 0
    groups: int = 1
    of_2012: bool = True


TABLE = AlexNetConfig((96, 256, 384, 384, 256), side=227)
ORIGINAL = TABLE._replace(groups=2)
ONE_TOWER = AlexNetConfig((64, 192, 384, 256, 256), side=224, padding=2, of_2012=False)


class AlexNet(nn.Module):
    """Maps images to class scores, or to maps at strides 8, 16, 32 and the vector of the dense layers.

    dense          widths of fc6 and fc7
    dropout        rate of dropping units of the dense layers
    small_images   for images of about 32 pixels: conv1 is a 5x5 without stride, fc6 reads 3x3 places instead of 6x6, and He's
                   initialisation (with the paper's the loss on scikit-learn's digits did not move for 80 steps of 32)
    """

    def __init__(
        self,
        config: AlexNetConfig,
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        dense: tuple[int, int] = (4096, 4096),
        dropout: float = 0.5,
        small_images: bool = False,
    ) -> None:
        super().__init__()
        require_share(dropout)
        (c1, c2, c3, c4, c5), groups = config.widths, config.groups
        side, cells = (32, 3) if small_images else (config.side, 6)
        self.input_size = (in_channels, side, side)
        self.smallest = (
            15 if small_images else 67 - 2 * config.padding
        )  # the three poolings then read 15, 7 and 3 pixels
        self.channels = (c1, c2, c5, dense[1])
        wide = nn.Conv2d(in_channels, c1, 11, stride=4, padding=config.padding)
        self.conv1 = nn.Conv2d(in_channels, c1, 5, padding=2) if small_images else wide
        self.conv2 = nn.Conv2d(c1, c2, 5, padding=2, groups=groups)
        self.conv3 = nn.Conv2d(c2, c3, 3, padding=1)
        self.conv4 = nn.Conv2d(c3, c4, 3, padding=1, groups=groups)
        self.conv5 = nn.Conv2d(c4, c5, 3, padding=1, groups=groups)
        self.pool1, self.pool2, self.pool5 = (nn.MaxPool2d(3, stride=2) for _ in range(3))
        self.norm1, self.norm2 = (LocalResponseNorm() if config.of_2012 else nn.Identity() for _ in range(2))
        self.avgpool = nn.AdaptiveAvgPool2d(cells)
        self.fc6 = nn.Linear(c5 * cells**2, dense[0])
        self.fc7 = nn.Linear(dense[0], dense[1])
        self.fc8 = nn.Linear(dense[1], num_classes) if num_classes else nn.Identity()
        self.drop5 = nn.Identity() if config.of_2012 else nn.Dropout(dropout)
        self.drop6 = nn.Dropout(dropout)
        self.drop7 = nn.Dropout(dropout) if config.of_2012 else nn.Identity()
        self.relu = nn.ReLU(inplace=True)
        if small_images:
            initialise(self, "he")
        elif config.of_2012:
            initialise(self, "normal")
            for layer in (self.conv2, self.conv4, self.conv5, self.fc6, self.fc7):
                nn.init.ones_(layer.get_parameter("bias"))

    def features(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Maps after each pooling, (b, 96, 27, 27), (b, 256, 13, 13), (b, 256, 6, 6), and the vector (b, 4096, 1, 1)."""
        require_at_least(x, self.input_size[0], self.smallest)
        p1 = self.pool1(self.norm1(self.relu(self.conv1(x))))  # (b, 96, 27, 27), of 227x227 pixels
        p2 = self.pool2(self.norm2(self.relu(self.conv2(p1))))  # (b, 256, 13, 13)
        y = self.relu(self.conv4(self.relu(self.conv3(p2))))  # (b, 384, 13, 13)
        p5 = self.pool5(self.relu(self.conv5(y)))  # (b, 256, 6, 6)
        vector = self.drop5(self.avgpool(p5).flatten(1))  # (b, 256 · 6 · 6)
        vector = self.drop6(self.relu(self.fc6(vector)))  # (b, 4096)
        vector = self.drop7(self.relu(self.fc7(vector)))  # (b, 4096)
        return [p1, p2, p5, vector[:, :, None, None]]

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Class scores (b, num_classes); with num_classes=0 the feature vector (b, channels[-1])."""
        return self.fc8(self.features(x)[-1].flatten(1))


def as_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's state dict of an AlexNet under the names used here; there layers are numbered in a Sequential."""
    rows = {"features": {0: "conv1", 3: "conv2", 6: "conv3", 8: "conv4", 10: "conv5"}}
    rows["classifier"] = {1: "fc6", 4: "fc7", 6: "fc8"}
    split = {key: key.split(".") for key in state}
    return {f"{rows[part][int(row)]}.{kind}": state[key] for key, (part, row, kind) in split.items()}


# ----------------------------------------------------------------------------------------------------------- variants
@MODELS.register
def alexnet(**options) -> AlexNet:
    """AlexNet in one tower, Krizhevsky 2014, arXiv:1404.5997, in torchvision's sizes.

    61.1 M parameters at (3, 224, 224).
    """
    return AlexNet(ONE_TOWER, **options)


@MODELS.register
def alexnet_table(**options) -> AlexNet:
    """AlexNet without groups, Krizhevsky et al. 2012, figure 2: 62.4 M parameters at (3, 227, 227)."""
    return AlexNet(TABLE, **options)


@MODELS.register
def alexnet_original(**options) -> AlexNet:
    """AlexNet with conv2, conv4 and conv5 in two groups, Krizhevsky et al. 2012, figure 2.

    61.0 M parameters at (3, 227, 227).
    """
    return AlexNet(ORIGINAL, **options)
