"""What in a patch activates a unit: its value projected back to the pixels by the deconvnet's rule.

    Zeiler & Fergus 2013, arXiv:1311.2901, section 2.1

A deconvnet runs the network backwards: filters transposed, maxima unpooled to where they came from, and rectified on the way
back instead of where the way forward was. That is the gradient of the unit with another rule at each ReLU; the switches of the
pooling layers are those that autograd keeps.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.explanation.attribution.rectifiers import RectifierRule
from sightline.explanation.subject import Refused, undisturbed, watched

from .patches import UnitPatches, Viewing, unit_map, values_at


def projections(viewing: Viewing, one: UnitPatches) -> Float[Tensor, "b c h w"]:
    """For each patch of a unit, the projection in the whole frame; it is 0 outside of the patch's box. Refused where no ReLU
    comes before the unit: the map would be the plain gradient under another name."""
    pixels = viewing.of([patch.image for patch in one.patches])
    with undisturbed(viewing.network), RectifierRule("deconvnet") as rectifiers, torch.enable_grad():
        leaf, image = watched(pixels)
        values = values_at(unit_map(viewing, one.layer, one.unit, image), one.patches)
        if not rectifiers.count:
            raise Refused(
                f"a deconvnet's rule is about ReLUs, and {one.layer.name} has none before it",
                "see the patches themselves",
            )
        if not values.requires_grad:
            return torch.zeros_like(pixels)
        (slope,) = torch.autograd.grad(values.sum(), leaf)
    return slope.detach()
