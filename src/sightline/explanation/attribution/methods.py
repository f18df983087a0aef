"""The methods by name, each with its paper, its cost and what its map means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sightline.errors import UsageError, nearest
from sightline.explanation.subject import Attribution

from .attention import attention, rollout
from .cam import grad_cam, grad_cam_plus_plus
from .gradients import SAMPLES, input_x_gradient, saliency, smoothgrad
from .integrated import STEPS, integrated_gradients
from .perturbation import MASKS, occlusion, patches, rise
from .rectifiers import deconvnet, guided_backprop
from .segmentation import segmentation

ALL = "all"


@dataclass(frozen=True)
class Passes:
    """Images that go forward through the network for one explanation, and those that come back as gradients."""

    forward: int = 0
    backward: int = 0

    def __add__(self, other: Passes) -> Passes:
        return Passes(self.forward + other.forward, self.backward + other.backward)

    def __mul__(self, times: int) -> Passes:
        return Passes(self.forward * times, self.backward * times)


BOTH = Passes(1, 1)
Cost = Callable[[int, int, Mapping[str, Any]], Passes]  # (height, width, settings) → at least so many


@dataclass(frozen=True)
class Method:
    """title    in a heading
    explain  (subject, pixels, target, **settings) → Attribution
    paper    first author and year
    reading  what a large value means, in a sentence
    cost     passes of one image
    quick    settings of the maps that controls compare: fewer passes, on the trained and on the random network alike
    caution  what the method is known not to show, in a sentence
    """

    title: str
    explain: Callable[..., Attribution]
    paper: str
    reading: str
    cost: Cost = lambda height, width, settings: BOTH
    quick: Mapping[str, Any] = field(default_factory=dict)
    caution: str = ""

    @property
    def single(self) -> bool:
        """Whether it is one pass, so that several images share it."""
        return not self.quick


def _each(key: str, default: int, back: bool = True, more: int = 0) -> Cost:
    """So many passes as the setting `key` says, and `more` forward."""

    def cost(height: int, width: int, settings: Mapping[str, Any]) -> Passes:
        n = int(settings.get(key, default))
        return Passes(n + more, n if back else 0)

    return cost


def _forward_only(height: int, width: int, settings: Mapping[str, Any]) -> Passes:
    return Passes(1)


def _occlusions(height: int, width: int, settings: Mapping[str, Any]) -> Passes:
    return Passes(patches(height, width, **{k: v for k, v in settings.items() if k != "fill"}) + 1)


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
        _each("samples", SAMPLES), {"samples": 8},
    ),
    "integrated_gradients": Method(
        "Integrated gradients", integrated_gradients, "Sundararajan et al. 2017, arXiv:1703.01365",
        "This pixel's part in the difference of scores between the image and black; all parts sum to it.",
        _each("steps", STEPS, more=2), {"steps": 6, "most": 6},
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
        "The score falls when a patch covers this place.",
        _occlusions, {"share": 4, "moves": 1},
    ),
    "rise": Method(
        "RISE", rise, "Petsiuk et al. 2018, arXiv:1806.07421",
        "The target is more probable when this place is shown than when it is hidden.",
        _each("masks", MASKS, back=False), {"masks": 200},
    ),
    "attention": Method(
        "Attention", attention, "Dosovitskiy et al. 2020, arXiv:2010.11929",
        "The last layer reads this patch.", _forward_only,
    ),
    "rollout": Method(
        "Attention rollout", rollout, "Abnar & Zuidema 2020, arXiv:2005.00928",
        "This patch reaches the output through all layers of attention.", _forward_only,
    ),
    "graph_cut": Method(
        "Graph cut", segmentation, "Simonyan et al. 2013, arXiv:1312.6034",
        "This pixel belongs to the object, by its colour and by the gradient's largest values.",
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
