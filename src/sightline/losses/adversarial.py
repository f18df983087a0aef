"""The signed gradient ascent of attacks, and adversarial training with it.

Goodfellow, Shlens & Szegedy 2014, "Explaining and harnessing adversarial examples" (arXiv:1412.6572); Madry et al. 2017,
"Towards deep learning models resistant to adversarial attacks" (arXiv:1706.06083).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor, nn

from sightline.randomness.keyed import uniform

LEVELS = 255.0  # pixels lie between 0 and this
EPS, STEPS = 8.0, 7  # of adversarial training on CIFAR-10 (Madry et al. 2017, section 5)
REACH = 2.5  # times eps is what all steps together could walk


def clipped(moved: Float[Tensor, "b c h w"], x: Float[Tensor, "b c h w"], eps: float) -> Float[Tensor, "b c h w"]:
    """`moved` with every value within `eps` levels of `x` and between 0 and 255.

    Written with the bounds x - eps and x + eps, not as x plus a clipped difference: a step of exactly eps then keeps its bits.
    """
    return moved.maximum(x - eps).minimum(x + eps).clamp(0.0, LEVELS)


def signed_step(
    moved: Float[Tensor, "b c h w"],
    gradient: Float[Tensor, "b c h w"],
    x: Float[Tensor, "b c h w"],
    eps: float,
    step: float,
) -> Float[Tensor, "b c h w"]:
    """`moved` + `step` · sign(gradient), within `eps` of `x`. Where the gradient is 0 the pixel stays."""
    return clipped(moved + step * gradient.sign(), x, eps)


@dataclass(frozen=True)
class Adversary:
    """Attacks every training image before the step that learns from it: min over weights of the max over changes of the loss.

    `eps` in levels; `steps` of projected gradient ascent from a keyed random start. While it searches, the network is in
    eval mode, so that batch norms keep their statistics and every step of the search sees the same function.
    """

    eps: float
    steps: int
    seed: int

    def __call__(
        self,
        network: nn.Module,
        image: Num[Tensor, "b c h w"],
        position: Int[Tensor, "b"],
        loss: Callable[[Tensor], Tensor],
    ) -> Float[Tensor, "b c h w"]:
        """The images with the highest loss found, in float levels.

        position  of each image in the training stream, which keys its start: the result is a function of (seed, position)
        loss      scores (b, k) → one number to increase, a sum over the images
        """
        x = image.float()
        places = torch.arange(x[0].numel(), device=x.device)
        start = uniform(self.seed, "adversarial start", position[:, None], places).view_as(x)
        moved = clipped(x + self.eps * (2 * start - 1), x, self.eps)
        modes = [(module, module.training) for module in network.modules()]
        network.eval()
        try:
            for _ in range(self.steps):
                moved = signed_step(moved, _slope(network, moved, loss), x, self.eps, REACH * self.eps / self.steps)
        finally:
            for module, training in modes:
                module.training = training
        return moved


def _slope(network: nn.Module, pixels: Tensor, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """The gradient of the loss with respect to the pixels; the gradients of the weights are left alone."""
    leaf = pixels.detach().requires_grad_()
    outputs = network(leaf)
    (found,) = torch.autograd.grad(loss(outputs[0] if isinstance(outputs, tuple) else outputs), leaf)
    return found.detach()
