"""A network that puts each image somewhere: a trunk whose outputs are a vector, and what is learned beside it."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Head = Literal["none", "siamese", "centres"]

SHOTS = 5  # images of each identity in the gallery
COMPONENTS = 32  # principal components of the training images


class Embedded(NamedTuple):
    """What an embedder with a head returns while it trains: vectors (b, d), and the head's weight (k, d) and bias (k,)."""

    vector: Tensor
    weight: Tensor
    bias: Tensor | None


class Embedder(nn.Module):
    """`trunk` maps images to (b, `dimension`); the vector is that, of length 1 if `normalised`.

    head      "siamese": weight and bias of σ(Σ ω|Δ| + b) (Koch et al. 2015); "centres": a vector for each of the `classes`
              identities (ArcFace); "none"
    gallery   (classes, 5, d) vectors of training images, of which each identity fills `filled` (classes,) places
    threshold the largest distance at which two images are said to show the same; below 0 until it is known
    mean, axes  of the principal components of the small training images, (`pixels`,) and (`pixels`, 32)
    """

    gallery: Tensor
    filled: Tensor
    threshold: Tensor
    mean: Tensor
    axes: Tensor

    def __init__(
        self,
        trunk: nn.Module,
        dimension: int,
        classes: int,
        *,
        pixels: int,
        normalised: bool = True,
        head: Head = "none",
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.dimension = dimension
        self.normalised = normalised
        self.head: nn.Linear | None = None
        if head != "none":
            self.head = nn.Linear(dimension, 1 if head == "siamese" else classes, bias=head == "siamese")
            nn.init.normal_(self.head.weight, std=0.01)
        if head == "siamese":
            nn.init.constant_(self.head.weight, -1.0)  # type: ignore[union-attr]  # likeness falls with every difference
        self.register_buffer("gallery", torch.zeros(classes, SHOTS, dimension))
        self.register_buffer("filled", torch.zeros(classes))
        self.register_buffer("threshold", torch.tensor(-1.0))
        self.register_buffer("mean", torch.zeros(pixels))
        self.register_buffer("axes", torch.zeros(pixels, COMPONENTS))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"] | Embedded:
        """Images (b, c, h, w) → their vectors (b, `dimension`)."""
        outputs = self.trunk(x)
        vector = (outputs[0] if isinstance(outputs, tuple) else outputs).float()
        if self.normalised:
            vector = F.normalize(vector, dim=1)
        if self.head is None or not self.training:
            return vector
        return Embedded(vector, self.head.weight, self.head.bias)
