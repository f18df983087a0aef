"""The linear classifier: one template for each class; a score is the dot product with the image.

The baseline for everything else: classes that no hyperplane separates (XOR, a car seen from the left and from the
right) are beyond it. With cross-entropy it is logistic regression, with the hinge loss a linear SVM. Weights are
initialised from a small Gaussian (0.01), so the first scores are almost equal.
"""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.layers.initialise import initialise
from sightline.models.catalogue import MODELS
from sightline.models.sizes import require_exactly


class LinearClassifier(nn.Module):
    """scores = W · pixels + b. The "feature map" is the image, every pixel a channel.

    image_size    (height, width) of all its images
    """

    def __init__(self, *, in_channels: int = 3, num_classes: int = 10, image_size: tuple[int, int] = (32, 32)) -> None:
        super().__init__()
        self.input_size = (in_channels, *image_size)
        self.channels = (math.prod(self.input_size),)
        self.fc = nn.Linear(self.channels[0], num_classes) if num_classes else nn.Identity()
        initialise(self, "normal")

    def features(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b d 1 1"]]:
        """The image itself, every pixel a channel: (b, c·h·w, 1, 1)."""
        require_exactly(x, *self.input_size)
        return [x.flatten(1)[:, :, None, None]]  # (b, c·h·w, 1, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Class scores (b, num_classes); with num_classes=0 the feature vector (b, channels[-1])."""
        return self.fc(self.features(x)[-1].flatten(1))

    def templates(self) -> Float[Tensor, "k c h w"]:
        """The template of each class: the rows of the weights (scores are W x), as images. UsageError without classes."""
        if not isinstance(self.fc, nn.Linear):
            raise UsageError("without classes there are no templates", "set num_classes to at least 1")
        return self.fc.get_parameter("weight").detach().unflatten(1, self.input_size)


@MODELS.register
def linear(**options) -> LinearClassifier:
    """Linear classifier, one template for each class: 30,730 parameters at (3, 32, 32)."""
    return LinearClassifier(**options)
