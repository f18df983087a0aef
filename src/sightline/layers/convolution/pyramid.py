"""Feature pyramid network: maps at every scale with the semantics of the deepest (Lin et al. 2016, arXiv:1612.03144).

A 1x1 convolution brings each map of a backbone to one width, the coarser map is upsampled by 2 and added, and a 3x3
convolution smooths the sum. Parameter names are torchvision's.
"""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class FeaturePyramid(nn.Module):
    """Maps of `inputs` channels, finest first → as many maps of `width` channels at the same sizes.

    coarsest   a module that makes further, coarser maps from the last one; they are appended
    """

    def __init__(self, inputs: Sequence[int], width: int = 256, *, coarsest: nn.Module | None = None) -> None:
        super().__init__()
        self.inner_blocks = nn.ModuleList(nn.Sequential(nn.Conv2d(channels, width, 1)) for channels in inputs)
        self.layer_blocks = nn.ModuleList(nn.Sequential(nn.Conv2d(width, width, 3, padding=1)) for _ in inputs)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                nn.init.kaiming_uniform_(layer.weight, a=1)
                nn.init.zeros_(layer.bias)
        self.extra_blocks = coarsest

    def forward(self, maps: Sequence[Float[Tensor, "b _ _ _"]]) -> list[Float[Tensor, "b d _ _"]]:
        """Maps (b, inputs[i], h_i, w_i) → maps (b, width, h_i, w_i), and those of `coarsest`."""
        inner = [lateral(x) for lateral, x in zip(self.inner_blocks, maps, strict=True)]  # (b, width, h_i, w_i) each
        for i in range(len(inner) - 2, -1, -1):  # from coarse to fine: each adds the map above it
            inner[i] = inner[i] + F.interpolate(inner[i + 1], size=inner[i].shape[-2:], mode="nearest")
        pyramid = [smooth(x) for smooth, x in zip(self.layer_blocks, inner, strict=True)]
        return pyramid if self.extra_blocks is None else [*pyramid, *self.extra_blocks(pyramid[-1])]


class LastLevelMaxPool(nn.Module):
    """One more map of half the size, by taking every second pixel of the coarsest (max-pooling with a window of 1)."""

    def forward(self, x: Float[Tensor, "b d h w"]) -> list[Float[Tensor, "b d i j"]]:
        """(b, d, h, w) → [(b, d, h/2, w/2)], odd sizes rounded up."""
        return [x[:, :, ::2, ::2]]
