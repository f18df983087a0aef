"""One step along the sign of the gradient: Goodfellow, Shlens & Szegedy 2014 (arXiv:1412.6572).

x' = x + ε · sign(∇ₓ J(x, y))                towards any other class
x' = x - ε · sign(∇ₓ J(x, target))           towards a target: Kurakin, Goodfellow & Bengio 2016 (arXiv:1607.02533)
"""

from __future__ import annotations

from sightline.attacks.scores import Labels, Objective, Pixels, Scores, ascent, objective
from sightline.losses.adversarial import signed_step


def fgsm(
    scores: Scores,
    x: Pixels,
    y: Labels,
    *,
    eps: float,
    target: Labels | None = None,
    value: Objective | None = None,
) -> Pixels:
    """The image (b, c, h, w), every value `eps` levels away from `x`, or where it was if its gradient is 0.

    value   what is to be increased of the scores in place of J, for functions whose answers are no classes
    """
    _, gradient = ascent(scores, x, value or objective(y, target))
    return signed_step(x, gradient, x, eps, eps)
