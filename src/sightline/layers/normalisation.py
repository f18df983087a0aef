"""Normalisation: the formula shared by four layers, local response normalisation, and batch norms folded away or
frozen.

    batch      Ioffe & Szegedy 2015, arXiv:1502.03167      over batch and space, one μ, σ² per channel
    layer      Ba, Kiros & Hinton 2016, arXiv:1607.06450   over all values of one example
    instance   Ulyanov et al. 2016, arXiv:1607.08022       over the space of one channel of one example
    group      Wu & He 2018, arXiv:1803.08494              in between: 1 group is layer, one per channel is instance
    local      Krizhevsky et al. 2012 (AlexNet), section 3.3

μ and σ² are statistics; the scale γ and the shift β are learned. Networks use torch's layers; the functions here are
for reading, and for checking torch's. In its local response normalisation torch divides α by the window size, the paper
does not: `LocalResponseNorm` follows the paper.
"""

from __future__ import annotations

import copy
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from sightline.errors import UsageError

STATISTICS_OVER = {"batch": (0, 2, 3), "layer": (1, 2, 3), "instance": (2, 3)}  # axes of (b, c, h, w)


class Standardised(NamedTuple):
    """(x - mean) / √(variance + ε), and the two statistics with their axes kept as 1."""

    value: Float[Tensor, "*shape"]
    mean: Float[Tensor, "*one"]
    variance: Float[Tensor, "*one"]


def standardise(x: Float[Tensor, "*shape"], over: tuple[int, ...], *, eps: float = 1e-5) -> Standardised:
    """Zero mean and unit variance over the axes `over`, using the biased variance."""
    mean = x.mean(over, keepdim=True)
    variance = (x - mean).square().mean(over, keepdim=True)
    return Standardised((x - mean) / (variance + eps).sqrt(), mean, variance)


class BatchNormStep(NamedTuple):
    """The output of one training step of batch normalisation, and the running statistics after it."""

    output: Float[Tensor, "b d *space"]
    running_mean: Float[Tensor, "d"]
    running_var: Float[Tensor, "d"]


def batch_norm_step(
    x: Float[Tensor, "b d *space"],
    gamma: Float[Tensor, "d"],
    beta: Float[Tensor, "d"],
    running_mean: Float[Tensor, "d"],
    running_var: Float[Tensor, "d"],
    *,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> BatchNormStep:
    """γ x̂ + β over (b, d) features or (b, d, h, w) maps.

    As in torch and the paper, the batch is normalised by its biased variance, while the running variance averages the
    unbiased one.
    """
    over = (0, *range(2, x.ndim))
    x_hat, mean, variance = standardise(x, over, eps=eps)
    count = x.numel() // x.shape[1]
    shape = (1, -1, *[1] * (x.ndim - 2))  # (1, d, 1, 1)
    return BatchNormStep(
        output=gamma.view(shape) * x_hat + beta.view(shape),
        running_mean=(1 - momentum) * running_mean + momentum * mean.flatten(),
        running_var=(1 - momentum) * running_var + momentum * variance.flatten() * count / (count - 1),
    )


Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


def fold_pair(layer: Layer, norm: _BatchNorm) -> Layer:
    """One layer that computes what `layer` followed by `norm` computes at test time. The originals are untouched.

    y = γ (W x + b - μ) / √(σ² + ε) + β  =  (γ/√…) W x + (b - μ) γ/√… + β
    """
    width = layer.weight.shape[0]
    if norm.num_features != width:
        raise UsageError(
            f"a norm of {norm.num_features} features cannot follow {width} outputs",
            "fold the norm directly behind the layer",
        )
    mean, variance = _running(norm)
    with torch.no_grad():
        scale = (variance + norm.eps).rsqrt()
        if norm.affine:
            scale = scale * norm.weight
        shift = -mean * scale if layer.bias is None else (layer.bias - mean) * scale
        if norm.affine:
            shift = shift + norm.bias
        folded = copy.deepcopy(layer)
        folded.weight.mul_(scale.view(-1, *[1] * (layer.weight.ndim - 1)))  # (k, 1, 1, 1)
        folded.bias = nn.Parameter(shift.clone())
    return folded


def _running(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    if norm.running_mean is None or norm.running_var is None:
        raise UsageError(
            "a batch norm without running statistics cannot be folded", "build it with track_running_stats=True"
        )
    return norm.running_mean, norm.running_var


class FrozenBatchNorm(_BatchNorm):
    """A batch norm that uses its running statistics in training too, and learns nothing.

    Its scale and shift are buffers, so neither an optimiser nor `requires_grad_` nor `train()` changes them. It shares the
    tensors of `norm` and keeps their names in the state dict.
    """

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, affine=False)
        for name in ("weight", "bias"):
            delattr(self, name)
            value = getattr(norm, name)
            self.register_buffer(name, None if value is None else value.detach())
        self.affine = norm.affine
        self.running_mean, self.running_var = _running(norm)
        self.num_batches_tracked = norm.num_batches_tracked
        self.eval()

    def train(self, mode: bool = True) -> FrozenBatchNorm:
        """Stay in evaluation mode whatever `mode` is."""
        return super().train(False)

    def _check_input_dim(self, x: Tensor) -> None:
        """Accept any number of axes after the channels: it replaces batch norms of one, two and three dimensions."""


def freeze_batchnorm(model: nn.Module) -> int:
    """Freeze every batch norm below `model` in place; returns their number.

    For fine-tuning with batches too small to estimate statistics: those stored with the weights come from many images.
    """
    frozen: dict[nn.Module, FrozenBatchNorm] = {}
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, _BatchNorm) and not isinstance(child, FrozenBatchNorm):
                frozen.setdefault(child, FrozenBatchNorm(child))
                setattr(parent, name, frozen[child])
    return len(frozen)


def local_contrast(x: Float[Tensor, "b c h w"], size: int = 15) -> Float[Tensor, "b c h w"]:
    """Each pixel minus the mean of the `size` x `size` pixels around it, over their deviation; a channel at a time.

    Where the deviation is below the mean one of its image and channel, that one divides instead, so that flat places are not
    blown up to noise (Jarrett, Kavukcuoglu, Ranzato & LeCun 2009, "What is the best multi-stage architecture?").
    """
    half = size // 2
    centred = x - F.avg_pool2d(x, size, 1, half, count_include_pad=False)
    deviation = F.avg_pool2d(centred.square(), size, 1, half, count_include_pad=False).clamp(min=1e-12).sqrt()
    usual = deviation.mean((2, 3), keepdim=True)  # (b, c, 1, 1)
    return centred / deviation.maximum(usual).clamp(min=1e-4)


def window_channels(channel: int, size: int, channels: int) -> list[int]:
    """The channels that normalise `channel` (0-based): a window of `size` centred on it, clipped at both ends."""
    half = size // 2
    return list(range(max(0, channel - half), min(channels - 1, channel + half) + 1))


class LocalResponseNorm(nn.Module):
    """a / (k + α Σ a²)^β over a window of `size` neighbouring channels, with the α of the paper."""

    def __init__(self, size: int = 5, *, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> None:
        super().__init__()
        if size % 2 == 0:
            raise UsageError(f"a window of {size} channels has no centre channel", "use an odd size")
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Same shape as `x`, (b, c, h, w)."""
        half = self.size // 2
        squares = F.pad(x.square(), (0, 0, 0, 0, half, half))  # (b, c + size - 1, h, w)
        windows = [squares[:, i : i + x.shape[1]] for i in range(self.size)]  # (b, c, h, w) each
        return x / (self.k + self.alpha * sum(windows[1:], windows[0])) ** self.beta
