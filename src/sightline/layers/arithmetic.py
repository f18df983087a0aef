"""Output sizes, parameter counts and receptive fields from formulas, before any layer is built. All along one axis.

    output size       (n + 2p - d(f - 1) - 1) / s + 1     Dumoulin & Visin 2016, arXiv:1603.07285
    receptive field   Araujo, Norris & Sim 2019, "Computing receptive fields of convolutional neural networks"

torch floors a fractional output size and silently drops the last pixels. `output_size` does as torch does,
`exact_output_size` returns the fraction, `fitting_output_size` refuses it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from sightline.errors import UsageError


def exact_output_size(size: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1) -> Fraction:
    """The number of kernel positions along `size` pixels, as a fraction: 7/3 means that the stride does not fit."""
    return Fraction(size + 2 * padding - dilation * (kernel - 1) - 1, stride) + 1


def output_size(size: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """The output size of a convolution or pooling in torch, which floors. UsageError where no pixel is left.

    >>> output_size(224, 7, stride=2, padding=3)
    112
    """
    exact = exact_output_size(size, kernel, stride=stride, padding=padding, dilation=dilation)
    if exact < 1:
        reach = dilation * (kernel - 1) + 1 - 2 * padding
        raise UsageError(f"{size} pixels are too few for a kernel of {kernel}", f"use at least {reach} pixels")
    return int(exact)


def fitting_output_size(size: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """The output size; UsageError where the stride does not fit, which would silently drop pixels."""
    exact = exact_output_size(size, kernel, stride=stride, padding=padding, dilation=dilation)
    size_in_torch = output_size(size, kernel, stride=stride, padding=padding, dilation=dilation)
    if exact != size_in_torch:
        dropped = int((exact - size_in_torch) * stride)
        raise UsageError(
            f"stride {stride} does not fit: {size} pixels, kernel {kernel}, padding {padding} give {float(exact):.2f}",
            f"use {size - dropped} pixels: torch would give {size_in_torch} and drop {dropped} pixel(s)",
        )
    return size_in_torch


def same_padding(kernel: int, *, dilation: int = 1) -> int:
    """The padding on each side that keeps the size at stride 1, d(f - 1)/2. UsageError where that is not an integer."""
    reach = dilation * (kernel - 1)
    if reach % 2:
        raise UsageError(f"a kernel of {kernel} cannot be padded equally on both sides", "use an odd kernel")
    return reach // 2


def kernel_between(size: int, output: int) -> int:
    """The kernel that turns `size` pixels into `output` pixels without padding at stride 1."""
    return size - output + 1


def convolution_parameters(
    in_channels: int, out_channels: int, kernel: int, *, groups: int = 1, bias: bool = True
) -> int:
    """Weights and biases of a square convolution; independent of image size and stride."""
    return out_channels * (in_channels // groups * kernel * kernel + bias)


def linear_parameters(in_features: int, out_features: int, *, bias: bool = True) -> int:
    """Weights and biases of a fully connected layer."""
    return out_features * (in_features + bias)


@dataclass(frozen=True)
class Field:
    """The receptive field of an output position along one axis of the input.

    Output index o depends on input pixels o·jump + first … o·jump + last. Fields are not clipped at the border: padding
    counts as pixels.
    """

    first: int = 0
    last: int = 0
    jump: int = 1

    @property
    def size(self) -> int:
        """Pixels from the first to the last, both included."""
        return self.last - self.first + 1

    def through(self, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1) -> Field:
        """The field behind one more sliding window."""
        return Field(
            first=self.first - padding * self.jump,
            last=self.last + (dilation * (kernel - 1) - padding) * self.jump,
            jump=self.jump * stride,
        )

    def joined(self, other: Field) -> Field | None:
        """The field of the sum or concatenation of two maps; None where their strides differ."""
        if self.jump != other.jump:
            return None
        return Field(min(self.first, other.first), max(self.last, other.last), self.jump)


@dataclass(frozen=True)
class Window:
    """A convolution or pooling, along one axis."""

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1


def receptive_field(windows: Iterable[Window]) -> Field:
    """The field of a stack of windows; its `size` is 1 + L(k - 1) for L layers of kernel k at stride 1."""
    field = Field()
    for window in windows:
        field = field.through(window.kernel, stride=window.stride, padding=window.padding, dilation=window.dilation)
    return field
