"""From noise to images with a network that finds the noise (Ho, Jain & Abbeel 2020): one step, and a whole descent.

    ddpm   arXiv:2006.11239: draws from p(x_{t-1} | x_t); as many random steps as the network was trained with, or fewer
    ddim   Song, Meng & Ermon 2020, arXiv:2010.02502: the same marginals without noise in between (η = 0), so that the
           image is a function of its first noise and few steps are enough

A descent visits `times`, the noisiest first. Steps are functions of tensors and know no network. Their predictions of the
image are clipped to [-1, 1], the range of all images here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Images = Float[Tensor, "b *shape"]
Network = Callable[[Images, Tensor], Images]  # (noisy images, times (b,)) → noise, or velocities
Draw = Callable[[int], Images]  # number of the step → fresh normal noise
Watch = Callable[[Images], None]  # gets what there is after every step
Spacing = Literal["leading", "trailing"]


def unseen(x: Images) -> None:
    """Nobody watches."""


def descent(trained: int, steps: int, spacing: Spacing = "trailing") -> list[int]:
    """`steps` of the times 0 … trained - 1, falling.

    descent(1000, 4) is [999, 749, 499, 249]; "leading", as in the first implementations, is [750, 500, 250, 0], which never
    visits the noisiest times although it starts from pure noise (Lin et al. 2023, arXiv:2305.08891).
    """
    if not 1 <= steps <= trained:
        raise ValueError(f"{steps} of {trained} times")
    if spacing == "leading":
        return [i * (trained // steps) for i in reversed(range(steps))]
    return [round(trained - i * trained / steps) - 1 for i in range(steps)]


def _kept(schedule: Float[Tensor, "t"], time: int) -> Tensor:
    """ᾱ at this time; 1 before time 0, where there is no noise."""
    return schedule[time] if time >= 0 else torch.ones_like(schedule[0])


def clean(x: Images, noise: Images, kept: Tensor, *, clip: bool = True) -> Images:
    """The image that x_t shows if this is its noise: (x_t - √(1 - ᾱ) ε) / √ᾱ."""
    image = (x - (1 - kept).sqrt() * noise) / kept.sqrt()
    return image.clamp(-1, 1) if clip else image


def ddpm_step(
    x: Images,
    noise: Images,
    time: int,
    before: int,
    schedule: Float[Tensor, "t"],
    fresh: Images | None,
    *,
    clip: bool = True,
) -> Images:
    """x at the time `before`, drawn from the posterior given x at `time` and the noise that the network found in it.

    before   the next time of the descent; -1 after the last
    fresh    normal noise; None for the mean, as in the last step
    """
    here, there = _kept(schedule, time), _kept(schedule, before)
    step = here / there  # α of this step: 1 - β where no time is left out
    image = clean(x, noise, here, clip=clip)
    mean = there.sqrt() * (1 - step) / (1 - here) * image + step.sqrt() * (1 - there) / (1 - here) * x
    if fresh is None or before < 0:
        return mean
    variance = ((1 - there) / (1 - here) * (1 - step)).clamp(min=1e-20)
    return mean + variance.sqrt() * fresh


def ddim_step(
    x: Images,
    noise: Images,
    time: int,
    before: int,
    schedule: Float[Tensor, "t"],
    fresh: Images | None = None,
    *,
    eta: float = 0.0,
    clip: bool = True,
    consistent: bool = False,
) -> Images:
    """x at the time `before`: equation 12 of the paper. η = 1 has the variance of DDPM.

    consistent   use the noise that belongs to the clipped image: with guidance or few steps the two drift apart
    """
    here, there = _kept(schedule, time), _kept(schedule, before)
    image = clean(x, noise, here, clip=clip)
    if consistent:
        noise = (x - here.sqrt() * image) / (1 - here).sqrt()
    deviation = eta * ((1 - there) / (1 - here) * (1 - here / there)).sqrt()
    after = there.sqrt() * image + (1 - there - deviation**2).sqrt() * noise
    return after if fresh is None else after + deviation * fresh


def ddpm(
    network: Network,
    x: Images,
    schedule: Float[Tensor, "t"],
    times: list[int],
    draw: Draw,
    *,
    clip: bool = True,
    watch: Watch = unseen,
) -> Images:
    """Images from noise x (b, …); `draw(i)` gives the noise of step i. `clip`: what is made lies in [-1, 1], as pixels do."""
    for i, (time, before) in enumerate(zip(times, [*times[1:], -1], strict=True)):
        fresh = draw(i) if before >= 0 else None
        x = ddpm_step(x, network(x, _at(x, time)), time, before, schedule, fresh, clip=clip)
        watch(x)
    return x


def ddim(
    network: Network,
    x: Images,
    schedule: Float[Tensor, "t"],
    times: list[int],
    *,
    clip: bool = True,
    watch: Watch = unseen,
) -> Images:
    """Images from noise x (b, …), deterministically."""
    for time, before in zip(times, [*times[1:], -1], strict=True):
        x = ddim_step(x, network(x, _at(x, time)), time, before, schedule, clip=clip, consistent=clip)
        watch(x)
    return x


def _at(x: Images, time: int) -> Tensor:
    return torch.full((len(x),), time, device=x.device)


def guided(conditional: Images, unconditional: Images, weight: float) -> Images:
    """Classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598): what the condition changes, `weight` times.

    1: the conditional answer; 0: the unconditional; above 1: images that show the condition more clearly and vary less.
    The paper's w is weight - 1.
    """
    return unconditional + weight * (conditional - unconditional)
