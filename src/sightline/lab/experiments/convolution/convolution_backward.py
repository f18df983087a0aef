"""The backward pass of a convolution is two convolutions.

How do the gradients of the kernel and of the image follow from the gradient of the output, without autograd?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch.nn import functional as F

from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Variation
from sightline.lab.seeing.pixels import named_grid, signed
from sightline.layers.convolution.convolution import correlate, correlate_backward


@dataclass(frozen=True)
class Parameters:
    size: Annotated[int, Field(ge=5, le=20)] = 8
    kernel: Annotated[int, Field(ge=1, le=5)] = 3
    stride: Annotated[int, Field(ge=1, le=4)] = 2
    padding: Annotated[int, Field(ge=0, le=3)] = 1


def numerical(
    x: torch.Tensor, kernel: torch.Tensor, upstream: torch.Tensor, at: tuple[int, ...], **options: int
) -> float:
    """Central difference of Σ upstream · output with respect to one weight."""
    sums = []
    for step in (1e-6, -1e-6):
        moved = kernel.clone()
        moved[at] += step
        sums.append((upstream * correlate(x, moved, None, **options)).sum().item())
    return (sums[0] - sums[1]) / 2e-6


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    options: dict[str, Any] = {"stride": p.stride, "padding": p.padding}
    x = torch.randn(2, 3, p.size, p.size, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(4, 3, p.kernel, p.kernel, dtype=torch.float64, requires_grad=True)
    y = F.conv2d(x, kernel, **options)
    upstream = torch.randn_like(y)
    expected = torch.autograd.grad(y, (x, kernel), upstream)
    ours = correlate_backward(upstream, x.detach(), kernel.detach(), **options)
    of_x, of_kernel = ((a - b).abs().max().item() for a, b in zip((ours.x, ours.kernel), expected, strict=True))
    one = abs(
        numerical(x.detach(), kernel.detach(), upstream, (0, 0, 0, 0), **options) - ours.kernel[0, 0, 0, 0].item()
    )

    # a single output with gradient 1 writes the kernel, as it is, into the gradient of the image
    image, weights = (
        torch.zeros(1, 1, 7, 7, dtype=torch.float64),
        torch.arange(1.0, 10, dtype=torch.float64).view(1, 1, 3, 3),
    )
    impulse = torch.zeros(1, 1, 5, 5, dtype=torch.float64)
    impulse[0, 0, 2, 2] = 1
    stamp = correlate_backward(impulse, image, weights).x
    stamped = torch.equal(stamp[0, 0, 2:5, 2:5], weights[0, 0]) and stamp.sum().item() == weights.sum().item()
    full = correlate(F.pad(impulse, (2, 2, 2, 2)), weights.flip(2, 3))
    unturned = (correlate(F.pad(impulse, (2, 2, 2, 2)), weights) - stamp).abs().max().item()
    pictures = [("kernel", signed(weights[0, 0])), ("gradient of the output", signed(impulse[0, 0])),
                ("gradient of the image", signed(stamp[0, 0], 9))]  # fmt: skip
    return Result(
        claims=[
            Claim("The gradient of the kernel, a correlation of the image with the output's gradient, equals "
                  "autograd's.", of_kernel < 1e-10,
                  f"largest difference {of_kernel:.0e}"),
            Claim("The gradient of the image, a full correlation with the rotated kernel, equals autograd's.",
                  of_x < 1e-10,
                  f"largest difference {of_x:.0e}"),
            Claim("A central difference agrees.", one < 1e-6, f"difference {one:.0e}"),
            Claim("Each output hands its gradient back through its own window: a single one stamps the kernel.",
                  stamped and torch.equal(full, stamp),
                  "the kernel stands in the window" if stamped else "it does not"),
            Claim("Without the rotation by 180° the gradient would be wrong.", unturned > 1,
                  f"largest difference {unturned:g}"),
        ],
        numbers={"difference, kernel": of_kernel, "difference, image": of_x},
        pictures=[Picture(named_grid(pictures, 3, 160), "One output has gradient 1: its window receives the kernel.",
                          wide=True)],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "Sliding a rotated kernel over a gradient is the same as stamping the kernel, as it is, once for each output.",
        "A stride leaves gaps between the outputs: the gradient is first spread out with zeros.",
        "This backward pass of the image is what a transposed convolution computes forwards.",
    ),
    formulas=(
        Formula("∂L/∂F = X ⋆ ∂L/∂O\n∂L/∂X = full(rot₁₈₀(F) ⋆ ∂L/∂O)",
                "Goodfellow, Bengio and Courville 2016, Deep Learning, section 9.5"),
        Formula("∂L/∂X₁₁ = F₁₁ · ∂L/∂O₁₁", "the corner pixel, which one window only covers"),
    ),
    code=(correlate_backward, correlate),
    variations=(Variation("stride=1 padding=0", "The textbook's case: no zeros between the gradients."),
                Variation("size=9 stride=4", "Pixels that no window covers get gradient 0.")),
)  # fmt: skip
