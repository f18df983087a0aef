"""Landmarks as a network reads them, and poses between two poses.

Landmarks are (b, p, 3): x and y from -1 to 1 over the picture, z towards the viewer in the same unit.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

Landmarks = Float[Tensor, "b p 3"]
EYE_CORNERS = (36, 45)  # the outer ones, of the 68 landmarks of 300-W
WIDTH = 0.04  # deviation of a heat map, in the unit of landmarks: 1.3 pixels of 64


def from_pixels(landmarks: Float[Tensor, "b p 3"], height: int, width: int) -> Landmarks:
    """Pixels, whose edges are whole numbers → -1 to 1; z as x."""
    unit = landmarks.new_tensor([width, height, width]) / 2
    return landmarks / unit - landmarks.new_tensor([1.0, 1.0, 0.0])


def to_pixels(landmarks: Landmarks, height: int, width: int) -> Float[Tensor, "b p 3"]:
    """The inverse of `from_pixels`."""
    unit = landmarks.new_tensor([width, height, width]) / 2
    return (landmarks + landmarks.new_tensor([1.0, 1.0, 0.0])) * unit


def heat_maps(landmarks: Landmarks, height: int, width: int) -> Float[Tensor, "b p h w"]:
    """A Gaussian of height 1 around each landmark."""
    y, x = ((torch.arange(n, device=landmarks.device) + 0.5) * (2 / n) - 1 for n in (height, width))
    across = torch.exp(-((x - landmarks[..., :1]) ** 2) / (2 * WIDTH**2))  # (b, p, w)
    down = torch.exp(-((y - landmarks[..., 1:2]) ** 2) / (2 * WIDTH**2))  # (b, p, h)
    return down[..., None] * across[:, :, None]


def rotation_between(one: Landmarks, other: Landmarks) -> Float[Tensor, "b 3 3"]:
    """The rotation R that brings `one` closest to `other`, both around their means (Kabsch 1976)."""
    a, b = (x.double() - x.double().mean(1, keepdim=True) for x in (one, other))
    u, _, v = torch.linalg.svd(a.transpose(1, 2) @ b)
    flip = torch.ones_like(u[:, 0])  # (b, 3)
    flip[:, 2] = torch.linalg.det(u @ v).sign()  # a reflection is no rotation
    return (v.transpose(1, 2) @ (flip[:, :, None] * u.transpose(1, 2))).to(one.dtype)


def angles(rotation: Float[Tensor, "b 3 3"]) -> Float[Tensor, "b 3"]:
    """The rotation as a vector: its direction is the axis, its length the angle in radians (below π)."""
    r = rotation.double()
    cosine = ((r.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2).clamp(-1, 1)
    axis = torch.stack([r[:, 2, 1] - r[:, 1, 2], r[:, 0, 2] - r[:, 2, 0], r[:, 1, 0] - r[:, 0, 1]], 1)
    return (axis / axis.norm(dim=1, keepdim=True).clamp(min=1e-12) * cosine.arccos()[:, None]).to(rotation.dtype)


def rotation_of(angle: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3 3"]:
    """The inverse of `angles` (Rodrigues)."""
    zero = torch.zeros_like(angle[:, 0])
    x, y, z = angle.unbind(1)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).unflatten(1, (3, 3))
    return torch.linalg.matrix_exp(cross)


def part_way(one: Landmarks, other: Landmarks, share: float) -> Landmarks:
    """Landmarks `share` of the way: the head turns by that share of the angle, while its middle and, in its own frame, the
    rest (expression, proportions) move along straight lines. 0 is `one`, 1 is `other`.

    The mean of two poses would not be a pose: a head turned by -40° and by 40° would meet in a flat one.
    """
    turn = rotation_between(one, other)
    middle, aim = one.mean(1, keepdim=True), other.mean(1, keepdim=True)
    back = (other - aim) @ turn  # the other one's shape in the frame of the first: x R = Rᵀ x
    shape = (one - middle) * (1 - share) + back * share
    partial = rotation_of(angles(turn) * share)
    return shape @ partial.transpose(1, 2) + middle * (1 - share) + aim * share


def landmark_error(found: Landmarks, true: Landmarks) -> Float[Tensor, "b"]:
    """Mean distance in the picture, in per cent of the distance between the outer corners of the true eyes; that one in space,
    so that a turned head does not count more."""
    apart = (true[:, EYE_CORNERS[0]] - true[:, EYE_CORNERS[1]]).norm(dim=1)
    return 100 * (found - true)[..., :2].norm(dim=2).mean(1) / apart.clamp(min=1e-6)
