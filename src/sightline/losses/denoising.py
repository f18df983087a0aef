"""Images between noise and data, and what a denoising network learns from them.

    diffusion       Ho, Jain & Abbeel 2020, arXiv:2006.11239: x_t = √ᾱ_t x + √(1 - ᾱ_t) ε, and the network finds ε
    flow matching   Lipman et al. 2022, arXiv:2210.02747, with σ_min = 0: x_t = t x + (1 - t) ε, and the network finds the
                    velocity x - ε, with which x_t moves from noise (t = 0) to data (t = 1)

Times of diffusion are whole numbers from 0 (almost the image) to T - 1 (almost noise). Products of the schedule are
accumulated in 32 bits, as published weights were trained with.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .means import in_32_bits

COSINE_OFFSET = 0.008  # keeps the first steps from being too small (Nichol & Dhariwal 2021)
MOST_NOISE = 0.999  # largest β of the cosine schedule


def linear_schedule(steps: int = 1000, first: float = 1e-4, last: float = 0.02) -> Float[Tensor, "t"]:
    """ᾱ (t,) of variances β that grow linearly: Ho et al. 2020."""
    return torch.cumprod(1.0 - torch.linspace(first, last, steps, dtype=torch.float32), dim=0)


def cosine_schedule(steps: int = 1000) -> Float[Tensor, "t"]:
    """ᾱ (t,) close to cos²(π/2 · t/T): Nichol & Dhariwal 2021, arXiv:2102.09672. On small images the linear schedule spends
    many of its times on what is already nothing but noise."""

    def level(share: float) -> float:
        return math.cos((share + COSINE_OFFSET) / (1 + COSINE_OFFSET) * math.pi / 2) ** 2

    betas = [min(1 - level((i + 1) / steps) / level(i / steps), MOST_NOISE) for i in range(steps)]
    return torch.cumprod(1.0 - torch.tensor(betas, dtype=torch.float32), dim=0)


def diffused(
    image: Float[Tensor, "b *shape"],
    noise: Float[Tensor, "b *shape"],
    time: Int[Tensor, "b"],
    schedule: Float[Tensor, "t"],
) -> Float[Tensor, "b *shape"]:
    """√ᾱ_t x + √(1 - ᾱ_t) ε, each image at its own time.

    ᾱ = 0.25 turns a pixel of 1 with noise of -1 into 0.5 - 0.866 = -0.366.
    """
    kept = schedule[time].reshape(-1, *[1] * (image.ndim - 1))
    return kept.sqrt() * image + (1 - kept).sqrt() * noise


def interpolated(
    image: Float[Tensor, "b *shape"], noise: Float[Tensor, "b *shape"], time: Float[Tensor, "b"]
) -> tuple[Float[Tensor, "b *shape"], Float[Tensor, "b *shape"]]:
    """(x_t, velocity) of flow matching: t x + (1 - t) ε and x - ε, each image at its own time in [0, 1]."""
    share = time.reshape(-1, *[1] * (image.ndim - 1))
    return share * image + (1 - share) * noise, image - noise


def squared_errors(answer: Float[Tensor, "b *shape"], truth: Float[Tensor, "b *shape"]) -> Float[Tensor, "b"]:
    """The mean squared error of each image, in 32 bits: the loss of both, without the weights of the variational bound, which
    Ho et al. 2020 (section 3.4) found to give worse samples."""
    return (in_32_bits(answer) - truth).square().flatten(1).mean(1)
