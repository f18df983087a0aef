"""Cells of the visual cortex as filters of an image: simple, complex and end-stopped, with the stimuli that they are shown.

Hubel & Wiesel 1962 (J. Physiol. 160), 1965 (J. Neurophysiol. 28); the energy of a quadrature pair: Adelson & Bergen 1985
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .kernels import gabor

SIDE = 33  # pixels of the field and of every stimulus


@dataclass(frozen=True)
class Cell:
    """`wavelength` in pixels; `orientation` in degrees, of the direction in which its wave changes."""

    wavelength: float
    orientation: float


def plane() -> tuple[Tensor, Tensor]:
    at = torch.arange(SIDE, dtype=torch.float64) - SIDE // 2
    y, x = torch.meshgrid(at, at, indexing="ij")
    return x, y


def kernel_of(p: Cell) -> Tensor:
    """The complex Gabor kernel of the cell: real part even, imaginary part odd."""
    x, y = plane()
    turn = math.radians(p.orientation)
    kernel = gabor(x, y, wavelength=p.wavelength, orientation=turn, sigma=p.wavelength / 2, aspect=0.5)
    return kernel - kernel.abs() * kernel.sum() / kernel.abs().sum()  # no answer to uniform light


def simple(kernel: Tensor, image: Tensor) -> float:
    """Half-wave rectified answer of the even filter: a rate cannot be negative."""
    return max(0.0, (kernel.real * image).sum().item())


def complex_cell(kernel: Tensor, image: Tensor) -> float:
    """Energy of the quadrature pair, as an amplitude: the phase drops out."""
    return math.hypot((kernel.real * image).sum().item(), (kernel.imag * image).sum().item())


def end_stopped(p: Cell, image: Tensor) -> float:
    """A complex cell less those whose fields follow at both ends of its own, along its preferred line."""
    kernel = kernel_of(p)
    x, y = plane()
    turn = math.radians(p.orientation)
    along = -x * math.sin(turn) + y * math.cos(turn)
    middle, ends = (
        torch.exp(-((along / (0.6 * p.wavelength)) ** 2)),
        torch.exp(-(((along.abs() - 1.5 * p.wavelength) / (0.6 * p.wavelength)) ** 2)),
    )
    return max(0.0, complex_cell(kernel * middle, image) - 2 * complex_cell(kernel * ends, image))


def grating(p: Cell, angle: float, phase: float) -> Tensor:
    x, y = plane()
    return torch.cos(2 * math.pi * (x * math.cos(angle) + y * math.sin(angle)) / p.wavelength + phase)


def bar(p: Cell, length: float) -> Tensor:
    """A bright line of the preferred direction through the middle, 3 pixels wide."""
    x, y = plane()
    turn = math.radians(p.orientation)
    across, along = x * math.cos(turn) + y * math.sin(turn), -x * math.sin(turn) + y * math.cos(turn)
    return ((across.abs() <= 1.5) & (along.abs() <= length / 2)).double()
