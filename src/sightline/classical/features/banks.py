"""Banks of filters: Gabor, Leung and Malik, and the independent components of patches; their energy in parts of the image.

Gabor         exp(-(x'² + γ² y'²) / 2σ²) · cos or sin(2π x' / λ + ψ), x' = x cos θ + y sin θ (Daugman 1985)
Leung-Malik   48 filters of 49 x 49 pixels: first and second derivatives of elongated Gaussians in 6 directions and 3 scales,
              8 Laplacians of Gaussians, 4 Gaussians (Leung & Malik 2001, IJCV 43)
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional

from sightline.classical.pipeline import Encoder, Examples, Figures

from .gradients import grey
from .patches import sampled


def gabor(
    x: Float[Tensor, "..."],
    y: Float[Tensor, "..."],
    *,
    wavelength: float,
    orientation: float,
    phase: float = 0.0,
    sigma: float,
    aspect: float = 1.0,
) -> Complex[Tensor, "..."]:
    """exp(-(u² + γ² v²) / 2σ²) · exp(i (2π u / λ + ψ)) at points (x, y): the even kernel is its real part, the odd one its
    imaginary part.

    u runs along `orientation` (radians from x to y), the direction in which the wave changes, v across it. `wavelength` λ and
    `sigma` σ in pixels; `aspect` γ below 1 makes it long across the wave.
    """
    cosine, sine = math.cos(orientation), math.sin(orientation)
    u, v = x * cosine + y * sine, -x * sine + y * cosine
    envelope = torch.exp(-(u**2 + aspect**2 * v**2) / (2 * sigma**2))
    return torch.polar(envelope, 2 * torch.pi * u / wavelength + phase)


def _grid(side: int) -> tuple[Tensor, Tensor]:
    """x (columns) and y (rows) around the middle, in double."""
    at = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    y, x = torch.meshgrid(at, at, indexing="ij")
    return x, y


def gabor_bank(side: int, wavelengths: tuple[float, ...], directions: int) -> Float[Tensor, "k 1 side side"]:
    """Even and odd filters of each wavelength and direction, without a mean and of length 1."""
    x, y = _grid(side)
    kernels = []
    for wavelength in wavelengths:
        for number in range(directions):
            wave = gabor(
                x,
                y,
                wavelength=wavelength,
                orientation=number * math.pi / directions,
                sigma=0.5 * wavelength,
                aspect=0.5,
            )
            kernels += [wave.real, wave.imag]
    return _normal(torch.stack(kernels))


def leung_malik_bank(side: int = 49) -> Float[Tensor, "48 1 side side"]:
    """The 48 filters for images of ordinary size; for a smaller `side` all scales shrink with it."""
    x, y = _grid(side)
    shrink = side / 49
    kernels = []
    for level in range(3):
        sigma = math.sqrt(2) ** (level + 1) * shrink
        for order in (1, 2):
            for number in range(6):
                angle = number * math.pi / 6
                along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
                kernels.append(_gauss(along, 3 * sigma, 0) * _gauss(across, sigma, order))
    square = x.square() + y.square()
    for level in range(4):
        for factor in (1, 3):
            sigma = factor * math.sqrt(2) ** (level + 1) * shrink
            kernels.append((square / sigma**2 - 2) * torch.exp(-square / (2 * sigma**2)))
    gaussians = [torch.exp(-square / (2 * (math.sqrt(2) ** (level + 1) * shrink) ** 2)) for level in range(4)]
    smooth = torch.stack(gaussians)
    return torch.cat([_normal(torch.stack(kernels)), (smooth / smooth.sum((1, 2), keepdim=True))[:, None].float()])


def _gauss(at: Tensor, sigma: float, order: int) -> Tensor:
    """A Gaussian, or its first or second derivative."""
    bell = torch.exp(-at.square() / (2 * sigma**2))
    return (bell, -at / sigma**2 * bell, (at.square() / sigma**4 - 1 / sigma**2) * bell)[order]


def _normal(kernels: Float[Tensor, "k h w"]) -> Float[Tensor, "k 1 h w"]:
    """Without a mean, the sum of magnitudes 1: flat images give 0, and filters of all sizes are comparable."""
    centred = kernels - kernels.mean((1, 2), keepdim=True)
    return (centred / centred.abs().sum((1, 2), keepdim=True))[:, None].float()


class FilterEnergy(Encoder):
    """The mean and the deviation of every filter's response in `regions` x `regions` parts of the image.

    kernels (k, c, h, w)   with one channel they see luminance
    """

    kernels: Tensor

    def __init__(self, kernels: Float[Tensor, "k c h w"], *, regions: int) -> None:
        super().__init__()
        self.regions = regions
        self.register_buffer("kernels", kernels)
        self.size = 2 * len(kernels) * regions**2

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b size"]:
        x = grey(x) if self.kernels.shape[1] == 1 else x
        high, wide = self.kernels.shape[2:]
        padding = (wide // 2, (wide - 1) // 2, high // 2, (high - 1) // 2)
        edge = functional.pad(x, padding, mode="replicate")
        response = functional.conv2d(edge, self.kernels)
        mean = functional.adaptive_avg_pool2d(response, self.regions)
        square = functional.adaptive_avg_pool2d(response.square(), self.regions)
        deviation = ((square - mean.square()).clamp(min=0) + 1e-8).sqrt()
        return torch.cat([mean.flatten(1), deviation.flatten(1)], 1)


class IndependentComponents(FilterEnergy):
    """Filters that are learned: the independent components of patches, which are edges (Bell & Sejnowski 1997, Vision Research
    37), by FastICA."""

    def __init__(self, channels: int, *, components: int, side: int, regions: int, patches: int) -> None:
        super().__init__(torch.zeros(components, channels, side, side), regions=regions)
        self.patches = patches

    def steps(self, passes: int) -> tuple[str, ...]:
        return ("independent components",)

    def solve(self, chunk: int, examples: Examples) -> Figures:
        from sklearn.decomposition import FastICA

        count, channels, side, _ = self.kernels.shape
        patches = sampled(examples, side, self.patches, "patches").cpu()
        model = FastICA(count, whiten="unit-variance", max_iter=100, tol=1e-3, random_state=examples.seed % (1 << 32))
        model.fit(patches.double().numpy())
        kernels = torch.from_numpy(model.components_).view(count, channels, side, side)
        kernels = kernels - kernels.mean((1, 2, 3), keepdim=True)
        self.kernels.copy_(kernels / kernels.abs().sum((1, 2, 3), keepdim=True).clamp(min=1e-12))
        return {"iterations": float(model.n_iter_)}
