"""A small generator in the manner of StyleGAN: a mapping of the noise, and convolutions that it modulates.

Karras et al. 2019, arXiv:1812.04948: noise → eight dense layers → a style w that acts on every layer, from a learned constant.
Karras et al. 2020, arXiv:1912.04958: the style scales the input channels of a convolution's weights, whose outputs are then
divided by their expected deviation; each resolution adds its own pixels to the enlarged ones of the resolution before.
Weights are drawn with variance 1 and scaled as they are used (equalised learning rate, arXiv:1710.10196).

What is left out: noise beside the style, with which an image would not be a function of its own noise alone; the deviation over
the batch in the critic, with which the score of an image would depend on others; style mixing and path length regularisation.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, leaky_relu, linear
from torch.nn.utils.parametrizations import spectral_norm

from .conditions import Label, Way, labels_for
from .dcgan import sides

SLOPE = 0.2
GAIN = math.sqrt(2.0)  # of a leaky ReLU: it passes half of the mean square
MAPPING_RATE = 0.01  # learning rate of the mapping, as a share of the others'
MAPPING = 4  # its layers; the paper has 8 for 1024 x 1024


class Dense(nn.Module):
    """A dense layer with equalised learning rate; `rate` scales the steps that it takes."""

    def __init__(self, inputs: int, outputs: int, *, rate: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b e"]:
        """Vectors (b, d) → (b, e)."""
        return linear(x, self.weight * self.scale, self.bias * self.rate)


class Modulated(nn.Module):
    """A convolution whose input channels the style scales, and whose output channels have unit variance again.

    weight' = s_i · w_oi; weight'' = weight' / |weight'_o|: the norm over inputs and window is what the deviation of an output
    would be for inputs of variance 1 (arXiv:1912.04958, equations 1 and 3). Scaling the input and dividing the output is the
    same as changing the weights of each image, and one convolution for the whole batch.
    """

    def __init__(self, inputs: int, outputs: int, size: int, style: int, *, divided: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.style = Dense(style, inputs, bias=1.0)
        self.scale, self.divided = 1.0 / math.sqrt(inputs * size * size), divided

    def forward(self, x: Float[Tensor, "b i h w"], w: Float[Tensor, "b s"]) -> Float[Tensor, "b o h w"]:
        """Maps (b, i, h, w) and styles (b, s) → maps (b, o, h, w)."""
        style, weight = self.style(w), self.weight * self.scale
        x = conv2d(x * style[:, :, None, None], weight, padding=weight.shape[2] // 2)
        if self.divided:
            power = style.square() @ weight.square().sum((2, 3)).T  # (b, i) · (i, o) → (b, o)
            x = x * (power + 1e-8).rsqrt()[:, :, None, None]
        return x + self.bias[:, None, None]


class Generator(nn.Module):
    """Noise (b, latent) and classes (b,) → images (b, c, h, w) in [-1, 1]."""

    def __init__(
        self, shape: tuple[int, int, int], *, latent: int = 64, base: int = 32, classes: int = 0, way: Way = "none"
    ) -> None:
        """`base` channels at the largest resolution; each smaller one has twice as many."""
        super().__init__()
        channels, height, width = shape
        height, width, times = sides(height, width)
        self.of_class = nn.Embedding(classes, latent) if way != "none" and classes else None
        first = latent * (2 if self.of_class is not None else 1)
        self.mapping = nn.ModuleList(
            Dense(first if i == 0 else latent, latent, rate=MAPPING_RATE) for i in range(MAPPING)
        )
        wide = base * 2**times
        self.constant = nn.Parameter(torch.randn(wide, height, width))
        self.layers, self.pixels = nn.ModuleList(), nn.ModuleList()
        for level in range(times + 1):
            into = wide if level == 0 else wide // 2
            self.layers.append(Modulated(wide, into, 3, latent))
            self.pixels.append(Modulated(into, channels, 1, latent, divided=False))
            wide = into

    def style(self, z: Float[Tensor, "b d"], label: Label = None) -> Float[Tensor, "b d"]:
        """w of the noise: normalised first, so that only its direction counts."""
        w = _normalised(z)
        if self.of_class is not None:
            w = torch.cat([w, _normalised(self.of_class(labels_for(z, label)))], 1)
        for layer in self.mapping:
            w = leaky_relu(layer(w), SLOPE) * GAIN
        return w

    def forward(self, z: Float[Tensor, "b d"], label: Label = None) -> Float[Tensor, "b c h w"]:
        """Images (b, c, h, w) in [-1, 1]; without `label` of the first class."""
        w = self.style(z, label)
        x, image = self.constant.repeat(len(z), 1, 1, 1), None
        for level, (layer, pixels) in enumerate(zip(self.layers, self.pixels, strict=True)):
            if level:
                x = _doubled(x)
            x = leaky_relu(layer(x, w), SLOPE) * GAIN
            own = pixels(x, w)
            image = own if image is None else _doubled(image) + own
        assert image is not None
        return image.tanh()


class Critic(nn.Module):
    """Images (b, c, h, w) in [-1, 1] and classes (b,) → logits of "real" (b,): residual blocks, each half as large."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        base: int = 32,
        classes: int = 0,
        way: Way = "none",
        spectral: bool = False,
        batch_norm: bool = False,
    ) -> None:
        """`batch_norm` changes nothing: residual blocks train without."""
        super().__init__()
        channels, height, width = shape
        small_height, small_width, times = sides(height, width)

        def held(layer: nn.Module) -> nn.Module:
            return spectral_norm(layer) if spectral else layer

        self.first = held(nn.Conv2d(channels, base, 1))
        self.blocks, wide = nn.ModuleList(), base
        for _ in range(times):
            self.blocks.append(
                nn.ModuleList(
                    held(layer)
                    for layer in (
                        nn.Conv2d(wide, wide, 3, padding=1),
                        nn.Conv2d(wide, 2 * wide, 4, stride=2, padding=1),
                        nn.Conv2d(wide, 2 * wide, 1, bias=False),
                    )
                )
            )
            wide *= 2
        vector = wide * small_height * small_width
        self.dense, self.last = held(nn.Linear(vector, wide)), held(nn.Linear(wide, 1))
        self.of_class = held(nn.Embedding(classes, wide)) if way != "none" and classes else None

    def forward(self, x: Float[Tensor, "b c h w"], label: Label = None) -> Float[Tensor, "b"]:
        """A logit an image (b,): positive for "real"."""
        x = leaky_relu(self.first(x), SLOPE)
        for block in self.blocks:
            assert isinstance(block, nn.ModuleList)
            same, halved, past = block
            y = leaky_relu(halved(leaky_relu(same(x), SLOPE)), SLOPE)
            x = (y + past(nn.functional.avg_pool2d(x, 2))) / GAIN
        vector = leaky_relu(self.dense(x.flatten(1)), SLOPE)
        score: Tensor = self.last(vector)[:, 0]
        if self.of_class is not None:
            score = score + (self.of_class(labels_for(x, label)) * vector).sum(1)
        return score


def _normalised(z: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
    return z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()


def _doubled(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c H W"]:
    return interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
