"""The multilayer perceptron: dense layers with a nonlinearity between, on the flattened image.

    a⁰ = pixels,   aˡ = g(Wˡ aˡ⁻¹ + bˡ),   scores = W a + b        Rumelhart, Hinton & Williams 1986

The default 784-300-100-10 is the three-layer network of LeCun et al. 1998, with ReLU (Nair & Hinton 2010) in place of
its tanh. Weights are initialised from He's Gaussian (arXiv:1502.01852) for rectifying activations, else from Glorot &
Bengio's (2010). Dropout (Srivastava et al. 2014) follows every hidden layer.
"""

from __future__ import annotations

import math
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from sightline.layers.activations import activation as named_activation
from sightline.layers.dropout import require_share
from sightline.layers.initialise import initialise
from sightline.models.catalogue import MODELS
from sightline.models.sizes import require_exactly

_RECTIFIERS = ("relu", "leaky_relu", "elu", "gelu")


class MLP(nn.Module):
    """Dense layers. Each hidden layer counts as a map of one pixel.

    hidden        units of each hidden layer; none makes it a linear classifier
    activation    "identity" shows that stacked linear layers are one linear layer
    dropout       probability of dropping a hidden unit
    image_size    (height, width) of all its images
    """

    def __init__(
        self,
        *,
        in_channels: int = 1,
        num_classes: int = 10,
        image_size: tuple[int, int] = (28, 28),
        hidden: tuple[int, ...] = (300, 100),
        activation: Literal["identity", "sigmoid", "tanh", "scaled_tanh", "relu", "leaky_relu", "elu", "gelu"] = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        require_share(dropout)
        self.input_size = (in_channels, *image_size)
        inputs = math.prod(self.input_size)
        self.channels = hidden or (inputs,)
        widths = (inputs, *hidden)
        self.hidden = nn.ModuleList(
            nn.Sequential(nn.Linear(width, units), named_activation(activation), nn.Dropout(dropout))
            for width, units in zip(widths, hidden, strict=False)
        )
        self.fc = nn.Linear(widths[-1], num_classes) if num_classes else nn.Identity()
        initialise(self, "he" if activation in _RECTIFIERS else "xavier")

    def features(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ 1 1"]]:
        """The units of each hidden layer, (b, units, 1, 1); without hidden layers the pixels."""
        require_exactly(x, *self.input_size)
        a = x.flatten(1)  # (b, c·h·w)
        units = []
        for layer in self.hidden:
            a = layer(a)  # (b, units)
            units.append(a)
        return [a[:, :, None, None] for a in units or [a]]

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Class scores (b, num_classes); with num_classes=0 the feature vector (b, channels[-1])."""
        return self.fc(self.features(x)[-1].flatten(1))


@MODELS.register
def mlp(**options) -> MLP:
    """Multilayer perceptron 784-300-100-10, LeCun et al. 1998, with ReLU: 266,610 parameters at (1, 28, 28)."""
    return MLP(**options)
