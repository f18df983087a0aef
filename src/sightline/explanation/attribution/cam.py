"""Class activation maps: the features of a late layer, weighted by what the score makes of them.

    Grad-CAM     max(Σ_k α_k A_k, 0),  α_k = mean over places of ∂S/∂A_k        Selvaraju et al. 2016, arXiv:1610.02391
    Grad-CAM++   α_k = Σ over places of g² / (2 g² + g³ Σ A_k) · max(g, 0),  g = ∂S/∂A_k
                                                                            Chattopadhyay et al. 2017, arXiv:1710.11063

The map is enlarged bilinearly to the image. It is not divided by its maximum: two maps can be compared, and a map without
positive evidence is 0 everywhere. Only evidence for the score is shown, as in both papers.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from sightline.explanation.subject import Attribution, Subject, undisturbed

from .layers import Reading, read_layer

_TINY = 1e-6  # in the denominator of Grad-CAM++


def grad_cam(subject: Subject, pixels: Float[Tensor, "b c h w"], target: Int[Tensor, "b"]) -> Attribution:
    """Where features that raise the score are active."""
    with undisturbed(subject.network):
        reading = read_layer(subject, pixels, target)
    return _enlarged(grad_cam_map(reading.activation, reading.slope), reading, pixels)


def grad_cam_plus_plus(subject: Subject, pixels: Float[Tensor, "b c h w"], target: Int[Tensor, "b"]) -> Attribution:
    """Grad-CAM with weights that also count the places where a feature is active, for several objects of a class."""
    with undisturbed(subject.network):
        reading = read_layer(subject, pixels, target)
    return _enlarged(grad_cam_plus_plus_map(reading.activation, reading.slope), reading, pixels)


def grad_cam_map(activation: Float[Tensor, "b c h w"], slope: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 1 h w"]:
    """The formula of Grad-CAM on the layer's own grid."""
    weight = slope.mean((2, 3), keepdim=True)  # (b, c, 1, 1)
    return (weight * activation).sum(1, keepdim=True).clamp(min=0)


def grad_cam_plus_plus_map(
    activation: Float[Tensor, "b c h w"], slope: Float[Tensor, "b c h w"]
) -> Float[Tensor, "b 1 h w"]:
    """The formula of Grad-CAM++ on the layer's own grid; the derivatives of exp(S) reduce to powers of those of S."""
    total = activation.sum((2, 3), keepdim=True)  # (b, c, 1, 1)
    share = slope**2 / (2 * slope**2 + total * slope**3 + _TINY)
    share = torch.where(slope == 0, 0.0, share)
    weight = (share * slope.clamp(min=0)).sum((2, 3), keepdim=True)
    return (weight * activation).sum(1, keepdim=True).clamp(min=0)


def _enlarged(small: Float[Tensor, "b 1 h w"], reading: Reading, pixels: Tensor) -> Attribution:
    large = F.interpolate(small, size=pixels.shape[2:], mode="bilinear", align_corners=False)
    settings: dict[str, Any] = {"layer": reading.layer, "grid": list(small.shape[2:])}
    return Attribution(large, "sum", signed=False, unit="weighted activation", settings=settings)
