"""ZFNet: Zeiler & Fergus 2013, arXiv:1311.2901, "Visualizing and understanding convolutional networks".

AlexNet, changed after visualising its first layers: 7x7 filters at stride 2 instead of 11x11 at 4, and no groups.

    224 → conv1 7x7/2 → 110 → pool 3x3/2 → 55 → conv2 5x5/2 → 26 → pool → 13 → three 3x3 → 13 → pool → 6

    zfnet         96, 256, 384, 384, 256     their figure 3
    zfnet_wide    96, 256, 512, 1024, 512    variant (b) of their table

The paper prints these sizes, but no padding. conv1 gives 110 if padded by 1 (whose right and lower border are never
reached), conv2 gives 26 without padding, and pooling gives 55 from 110 and 13 from 26 if its last window may overlap
the edge by one pixel, as in cuda-convnet. "Contrast normalisation across feature maps", after the first two poolings,
is interpreted as AlexNet's local response normalisation, with its constants. A last map of another size is
average-pooled to 6x6.

Weights are initialised from a Gaussian of deviation 0.01, biases from 0. The paper also rescales each first-layer
filter whose root mean square exceeds 0.1; that belongs to training and is not here.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from sightline.layers.dropout import require_share
from sightline.layers.initialise import initialise
from sightline.layers.normalisation import LocalResponseNorm
from sightline.models.catalogue import MODELS
from sightline.models.sizes import require_at_least


class ZFNet(nn.Module):
    """Maps images to class scores, or to maps at strides 4, 16, 32 and the vector of the dense layers.

    dense          widths of fc6 and fc7
    dropout        rate of dropping units of the dense layers
    small_images   for images of about 32 pixels: conv1 and conv2 keep the size, fc6 reads 4x4 places instead of 6x6, and He's
                   initialisation (with the paper's the loss on scikit-learn's digits did not move for 160 steps of 32)
    """

    def __init__(
        self,
        widths: tuple[int, int, int],
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        dense: tuple[int, int] = (4096, 4096),
        dropout: float = 0.5,
        small_images: bool = False,
    ) -> None:
        super().__init__()
        require_share(dropout)
        c3, c4, c5 = widths
        side, cells = (32, 4) if small_images else (224, 6)
        stride, padding1, padding2 = (1, 3, 2) if small_images else (2, 1, 0)
        self.input_size = (in_channels, side, side)
        self.smallest = 8 if small_images else 47  # the last pooling then reads two pixels
        self.channels = (96, 256, c5, dense[1])
        self.conv1 = nn.Conv2d(in_channels, 96, 7, stride=stride, padding=padding1)
        self.conv2 = nn.Conv2d(96, 256, 5, stride=stride, padding=padding2)
        self.conv3 = nn.Conv2d(256, c3, 3, padding=1)
        self.conv4 = nn.Conv2d(c3, c4, 3, padding=1)
        self.conv5 = nn.Conv2d(c4, c5, 3, padding=1)
        self.pool1, self.pool2, self.pool5 = (nn.MaxPool2d(3, stride=2, ceil_mode=True) for _ in range(3))
        self.norm1, self.norm2 = LocalResponseNorm(), LocalResponseNorm()
        self.avgpool = nn.AdaptiveAvgPool2d(cells)
        self.fc6 = nn.Linear(c5 * cells**2, dense[0])
        self.fc7 = nn.Linear(dense[0], dense[1])
        self.fc8 = nn.Linear(dense[1], num_classes) if num_classes else nn.Identity()
        self.drop6, self.drop7 = nn.Dropout(dropout), nn.Dropout(dropout)
        self.relu = nn.ReLU(inplace=True)
        initialise(self, "he" if small_images else "normal")

    def features(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Maps after each pooling, (b, 96, 55, 55), (b, 256, 13, 13), (b, 256, 6, 6), and the vector (b, 4096, 1, 1)."""
        require_at_least(x, self.input_size[0], self.smallest)
        p1 = self.norm1(self.pool1(self.relu(self.conv1(x))))  # (b, 96, 55, 55), of 224x224 pixels
        p2 = self.norm2(self.pool2(self.relu(self.conv2(p1))))  # (b, 256, 13, 13)
        y = self.relu(self.conv4(self.relu(self.conv3(p2))))  # (b, 384, 13, 13)
        p5 = self.pool5(self.relu(self.conv5(y)))  # (b, 256, 6, 6)
        vector = self.avgpool(p5).flatten(1)  # (b, 256 · 6 · 6)
        vector = self.drop6(self.relu(self.fc6(vector)))  # (b, 4096)
        vector = self.drop7(self.relu(self.fc7(vector)))  # (b, 4096)
        return [p1, p2, p5, vector[:, :, None, None]]

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Class scores (b, num_classes); with num_classes=0 the feature vector (b, channels[-1])."""
        return self.fc8(self.features(x)[-1].flatten(1))


# ----------------------------------------------------------------------------------------------------------- variants
@MODELS.register
def zfnet(**options) -> ZFNet:
    """ZFNet, Zeiler & Fergus 2013, arXiv:1311.2901, figure 3: 62.4 M parameters at (3, 224, 224)."""
    return ZFNet((384, 384, 256), **options)


@MODELS.register
def zfnet_wide(**options) -> ZFNet:
    """ZFNet with wider last layers, Zeiler & Fergus 2013, arXiv:1311.2901, table 2 (b).

    107.6 M parameters at (3, 224, 224).
    """
    return ZFNet((512, 1024, 512), **options)
