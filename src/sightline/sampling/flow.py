"""From noise to images along the velocities of flow matching (Lipman et al. 2022, arXiv:2210.02747): dx/dt = v(x, t).

    euler   first order: one evaluation of the network a step
    heun    second order: the mean of the velocities at both ends of the step, two evaluations

Time runs from 0 (noise) to 1 (data).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from .diffusion import Images, Network, Watch, unseen


def euler_step(x: Images, velocity: Images, time: float, after: float) -> Images:
    """x at the time `after`."""
    return x + (after - time) * velocity


def euler(network: Network, x: Images, times: list[float], watch: Watch = unseen) -> Images:
    """Images from noise x (b, …) at times[0], by way of all `times`."""
    for time, after in pairwise(times):
        x = euler_step(x, network(x, _at(x, time)), time, after)
        watch(x)
    return x


def heun(network: Network, x: Images, times: list[float], watch: Watch = unseen) -> Images:
    """The same with Heun's method."""
    for time, after in pairwise(times):
        first = network(x, _at(x, time))
        ahead = euler_step(x, first, time, after)
        x = euler_step(x, (first + network(ahead, _at(x, after))) / 2, time, after)
        watch(x)
    return x


def even(steps: int) -> list[float]:
    """steps + 1 times from 0 to 1."""
    return [i / steps for i in range(steps + 1)]


def _at(x: Images, time: float) -> Float[Tensor, "b"]:
    return torch.full((len(x),), time, device=x.device)
