"""Convolutions: what is printed, what is right.

Which sizes, counts and worked convolutions do not come out?
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sightline.lab.errata import Erratum, judged
from sightline.lab.experiment import Experiment, Formula, Result
from sightline.layers.arithmetic import convolution_parameters, exact_output_size, output_size
from sightline.layers.convolution.convolution import convolve, correlate
from sightline.layers.convolution.upsampling import spread_size

IMAGE = [[10, 20, 30, 15, 12], [11, 200, 34, 23, 45], [32, 35, 255, 255, 10], [10, 33, 6, 7, 59], [13, 43, 13, 45, 3]]
KERNEL = [[-1, -1, -1], [0, 0, 0], [1, 1, 1]]


@dataclass(frozen=True)
class Parameters:
    pass


def flipped() -> list[float]:
    """The first two values of the convolution, whose formula has h(i - m, j - n)."""
    image, kernel = (torch.tensor(rows, dtype=torch.float64)[None, None] for rows in (IMAGE, KERNEL))
    assert correlate(image, kernel)[0, 0, 0, :2].tolist() == [262, 480]
    return convolve(image, kernel)[0, 0, 0, :2].tolist()


def shifted_by_one() -> str:
    """Is the map of a shifted image the same map, or the shifted one?"""
    image = torch.rand(1, 1, 9, 9)
    kernel = torch.rand(1, 1, 3, 3)
    here, there = correlate(image, kernel), correlate(image.roll(1, 3), kernel)
    if torch.equal(here, there):
        return "the same map"
    return "the shifted map" if torch.allclose(here[..., 1:-1], there[..., 2:]) else "another map"


ROWS = (
    Erratum("Σ f(m, n) h(i − m, j − n), first two values", (262, 480), (-262, -480), flipped,
            "the formula flips the kernel; 262 and 480 are the cross-correlation, which is what conv2d computes"),
    Erratum("32 × 32, ten 5 × 5 filters, padding 2", (10, 28, 32), (10, 32, 32),
            lambda: (10, *(output_size(32, 5, padding=2),) * 2), "28 is without padding"),
    Erratum("weights of three 3 × 3 layers of 64 channels", 27 * 64, 27 * 64**2,
            lambda: 3 * convolution_parameters(64, 64, 3, bias=False), "a layer has C filters, so 27C²"),
    Erratum("weights of one 7 × 7 layer of 64 channels", 49 * 64, 49 * 64**2,
            lambda: convolution_parameters(64, 64, 7, bias=False), "49C²; the ratio 1.81 stands"),
    Erratum("transposed 3 × 3, stride 2, padding 1, from 4", 11, 7, lambda: spread_size(4, 3, stride=2, padding=1),
            "d(k − 1) + p for d(k − 1) − p"),
    Erratum("a shifted image gives", "the same map", "the shifted map", shifted_by_one,
            "convolution is equivariant, not invariant"),
    Erratum("box filter 3 × 3, 8 rows of output, from so many rows", 11, 10,
        lambda: next(n for n in range(3, 20) if output_size(n, 3) == 8),
            "one row too many was printed"),
    Erratum("maps of two 3 × 3 × 3 filters on 7 × 7 × 3, stride 2", (3, 3, 3), (2, 3, 3),
            lambda: tuple(correlate(torch.zeros(1, 3, 7, 7), torch.zeros(2, 3, 3, 3), stride=2).shape[1:]),
                "one map a filter"),
    Erratum("AlexNet's first layer on 224: 11 × 11, stride 4", 55, 54.25,
        lambda: float(exact_output_size(224, 11, stride=4)),
            "55 needs 227"),
)  # fmt: skip


def run(parameters: Parameters, seed: int) -> Result:
    return judged(ROWS, "Formulas and worked examples of course notes and slides on convolution.")


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "A size that is no integer means that pixels at the border are dropped: the product says so instead of "
        "rounding in silence.",
        "Frameworks call cross-correlation convolution. For learned kernels it makes no difference; for given ones "
        "it does.",
    ),
    formulas=(
        Formula("(N − F + 2P)/S + 1", "Dumoulin and Visin 2016, arXiv:1603.07285"),
        Formula("transposed: (N − 1)S − 2P + d(k − 1) + 1", "torch.nn.ConvTranspose2d"),
    ),
    code=(convolve, correlate, output_size, spread_size),
)
