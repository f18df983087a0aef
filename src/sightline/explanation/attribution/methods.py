"""The methods by name, each with its paper, its cost and what its map means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sightline.errors import UsageError, nearest
from sightline.explanation.subject import Attribution

from .attention import attention, rollout
from .cam import grad_cam, grad_cam_plus_plus
from .gradients import input_x_gradient, saliency, smoothgrad
from .integrated import integrated_gradients
from .perturbation import occlusion, rise
from .rectifiers import deconvnet, guided_backprop

ALL = "all"


@dataclass(frozen=True)
class Method:
    """title   in a heading
    explain   (subject, pixels, target, **settings) → Attribution
    paper     first author and year
    reading   what a large value means, in a sentence
    costly    whether it takes hundreds of passes, so that its controls use fewer
    """

    title: str
    explain: Callable[..., Attribution]
    paper: str
    reading: str
    costly: bool = False


METHODS: dict[str, Method] = {
    "gradient": Method(
        "Gradient", saliency, "Simonyan et al. 2013, arXiv:1312.6034",
        "The score moves most when this pixel changes a little, in either direction.",
    ),
    "input_x_gradient": Method(
        "Input × gradient", input_x_gradient, "Shrikumar et al. 2017, arXiv:1704.02685",
        "This pixel's part in the score, were the network linear, compared with black.",
    ),
    "smoothgrad": Method(
        "SmoothGrad", smoothgrad, "Smilkov et al. 2017, arXiv:1706.03825",
        "The gradient, averaged over noisy copies of the image.",
    ),
    "integrated_gradients": Method(
        "Integrated gradients", integrated_gradients, "Sundararajan et al. 2017, arXiv:1703.01365",
        "This pixel's part in the difference of scores between the image and black; all parts sum to it.",
    ),
    "guided_backprop": Method(
        "Guided backprop", guided_backprop, "Springenberg et al. 2014, arXiv:1412.6806",
        "A path of positive gradients leads from here through active ReLUs to the score.",
    ),
    "deconvnet": Method(
        "Deconvnet", deconvnet, "Zeiler & Fergus 2013, arXiv:1311.2901",
        "A path of positive gradients leads from here to the score.",
    ),
    "grad_cam": Method(
        "Grad-CAM", grad_cam, "Selvaraju et al. 2016, arXiv:1610.02391",
        "Late features that raise the score are active here.",
    ),
    "grad_cam_plus_plus": Method(
        "Grad-CAM++", grad_cam_plus_plus, "Chattopadhyay et al. 2017, arXiv:1710.11063",
        "Late features that raise the score are active here, counted at each of their places.",
    ),
    "occlusion": Method(
        "Occlusion", occlusion, "Zeiler & Fergus 2013, arXiv:1311.2901",
        "The score falls when a patch covers this place.", costly=True,
    ),
    "rise": Method(
        "RISE", rise, "Petsiuk et al. 2018, arXiv:1806.07421",
        "The target is more probable when this place is shown than when it is hidden.", costly=True,
    ),
    "attention": Method(
        "Attention", attention, "Dosovitskiy et al. 2020, arXiv:2010.11929",
        "The last layer reads this patch.",
    ),
    "rollout": Method(
        "Attention rollout", rollout, "Abnar & Zuidema 2020, arXiv:2005.00928",
        "This patch reaches the output through all layers of attention.",
    ),
}  # fmt: skip
DEFAULT = ("gradient", "integrated_gradients", "grad_cam", "occlusion")


def methods_named(names: str) -> tuple[str, ...]:
    """The methods of a list such as "grad_cam,occlusion", or all. UsageError for an unknown one."""
    if names == ALL:
        return tuple(METHODS)
    wanted = tuple(dict.fromkeys(name.strip().replace("-", "_") for name in names.split(",") if name.strip()))
    for name in wanted:
        if name not in METHODS:
            raise UsageError(f"unknown method {name!r}", nearest(name, (*METHODS, ALL)))
    if not wanted:
        raise UsageError("no method is named", f"use one of {', '.join(METHODS)}, or all")
    return wanted
