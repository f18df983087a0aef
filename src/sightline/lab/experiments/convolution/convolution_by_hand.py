"""A convolution is a dot product at every place.

Do loops over positions give what torch gives, does it flip the kernel, and when do kernel, stride and padding fit an image?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.seeing.pixels import named_grid, signed
from sightline.layers.arithmetic import exact_output_size, fitting_output_size
from sightline.layers.convolution.convolution import convolve, correlate

SIZES = (
    (7, 3, 1, 0),
    (7, 3, 2, 0),
    (7, 3, 3, 0),
    (7, 3, 1, 1),
    (32, 5, 1, 0),
    (32, 5, 1, 2),
    (227, 11, 4, 0),
    (224, 11, 4, 0),
)


@dataclass(frozen=True)
class Parameters:
    size: Annotated[int, Field(ge=5, le=24)] = 9
    channels: Annotated[int, Field(ge=1, le=16)] = 3
    filters: Annotated[int, Field(ge=1, le=16)] = 4
    kernel: Annotated[int, Field(ge=1, le=5)] = 3
    stride: Annotated[int, Field(ge=1, le=4)] = 2
    padding: Annotated[int, Field(ge=0, le=3)] = 1


def dot_product(x: torch.Tensor, kernel: torch.Tensor, row: int, column: int) -> float:
    """One output of a correlation by four nested sums, nothing but scalars: x (c, h, w), kernel (c, p, q)."""
    total = 0.0
    for c in range(kernel.shape[0]):
        for i in range(kernel.shape[1]):
            for j in range(kernel.shape[2]):
                total += x[c, row + i, column + j].item() * kernel[c, i, j].item()
    return total


def fits(size: int, kernel: int, stride: int, padding: int) -> bool:
    try:
        return fitting_output_size(size, kernel, stride=stride, padding=padding) > 0
    except UsageError:
        return False


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    x = torch.randn(2, p.channels, p.size, p.size, dtype=torch.float64)
    kernel = torch.randn(p.filters, p.channels, p.kernel, p.kernel, dtype=torch.float64)
    bias = torch.randn(p.filters, dtype=torch.float64)
    layer = torch.nn.Conv2d(p.channels, p.filters, p.kernel, p.stride, p.padding).double()
    layer.load_state_dict({"weight": kernel, "bias": bias})
    ours = correlate(x, kernel, bias, stride=p.stride, padding=p.padding)
    difference = (ours - layer(x)).abs().max().item()
    scalar = abs(dot_product(x[0], kernel[0], 1, 2) - F.conv2d(x, kernel)[0, 0, 1, 2].item())

    edge = torch.zeros(1, 1, 7, 7, dtype=torch.float64)
    edge[..., 3:] = 1
    sobel = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]], dtype=torch.float64)[None, None]
    correlated, convolved = correlate(edge, sobel), convolve(edge, sobel)
    rows = [
        (f"{n} pixels, {f} × {f}, stride {s}, padding {pad}", float(exact_output_size(n, f, stride=s, padding=pad)),
         F.conv2d(torch.zeros(1, 1, n, n), torch.zeros(1, 1, f, f), stride=s, padding=pad).shape[2],
         "fits" if fits(n, f, s, pad) else "does not fit: pixels are dropped")
        for n, f, s, pad in SIZES
    ]  # fmt: skip
    agree = all((row[1] == row[2]) == (row[3] == "fits") and int(row[1]) == row[2] for row in rows)
    pictures = [("image", signed(edge[0, 0], 1)), ("kernel", signed(sobel[0, 0])),
                ("correlation", signed(correlated[0, 0])), ("convolution", signed(convolved[0, 0]))]  # fmt: skip
    return Result(
        claims=[
            Claim("Loops over positions give what torch's layer gives.", difference < 1e-10,
                  f"largest difference {difference:.0e}"),
            Claim("Each output is one dot product, of as many terms as the filter has weights.", scalar < 1e-10,
                  f"{p.channels} × {p.kernel} × {p.kernel} = {p.channels * p.kernel**2} terms, difference {scalar:.0e}"),
            Claim("What networks compute is correlation: on this edge true convolution has the other sign.",
                  torch.equal(convolved, -correlated) and torch.equal(correlated,
                                                                      F.conv2d(edge, sobel)) and bool(correlated.any()),
                  f"at the edge {correlated[0, 0, 0].min():g} and {convolved[0, 0, 0].max():g}; conv2d "
                  f"{F.conv2d(edge, sobel)[0, 0, 0].min():g}"),
            Claim("The output size is (N - F + 2P)/S + 1; torch floors it where it is not whole.", agree,
                  f"{len(rows)} of {len(rows)} rows" if agree else "a row differs"),
        ],
        numbers={"largest difference to torch": difference, "terms of one dot product": p.channels * p.kernel**2},
        pictures=[Picture(named_grid(pictures, 4, 140),
                          "An edge, a Sobel kernel, and both operations: red above 0, blue below.", wide=True)],
        tables=[Table(("window", "(N - F + 2P)/S + 1", "torch", ""), rows, "Which windows fit.")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "A filter is as deep as its input: it sums over all channels, and k filters give k maps.",
        "Learned kernels are indifferent to the flip; kernels from a book are not.",
        "AlexNet's first layer fits 227 pixels, not the 224 of the paper.",
    ),
    formulas=(
        Formula("(K ⋆ X)(i, j) = Σ_c Σ_m Σ_n K(c, m, n) X(c, i + m, j + n)\n(K ∗ X)(i, j) = Σ_c Σ_m Σ_n K(c, m, n) "
                "X(c, i − m, j − n)",
                "Goodfellow, Bengio and Courville 2016, Deep Learning, section 9.1"),
        Formula("size = ⌊(N − F + 2P) / S⌋ + 1", "Dumoulin and Visin 2016, arXiv:1603.07285"),
    ),
    code=(correlate, dot_product, fitting_output_size),
    variations=(Variation("kernel=5 padding=2 stride=1", "Same padding: the maps keep their size."),
                Variation("channels=16 filters=16",
                          "The number of terms grows with the depth, the output size does not.")),
)  # fmt: skip
