"""A head as a parametric surface with a painted face: who it is, what it does, and where its 70 landmarks are.

The surface is a tapered ellipsoid with a nose. Places on the front are (u, v): u from left to right in half widths of the head,
v from the top (-1) to the chin (1). x points right, y down, z towards the viewer; lengths are in half heights of the head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

LANDMARKS = 70  # the 68 of the 300-W annotation scheme (jaw 17, brows 10, nose 9, eyes 12, lips 20), and the two pupils
EYE_CORNERS = (36, 45)  # the outer ones, whose distance is the usual unit of landmark errors
BACKGROUND, FACE, HAIR = 0, 1, 2
_DEEP = 0.85  # half depth of the head
_FULL = 2.4  # exponent of the outline; 2 is an ellipse
Colour = Float[np.ndarray, "3"]


@dataclass(frozen=True)
class Identity:
    """What stays the same in all images of one face. Lengths in half heights of the head, colours from 0 to 1."""

    width: float
    jaw: float
    eye_apart: float
    eye_height: float
    eye_size: float
    brow_gap: float
    brow_thick: float
    nose_length: float
    nose_width: float
    nose_out: float
    mouth_height: float
    mouth_width: float
    lip: float
    hairline: float
    hair_length: float
    skin: Colour
    hair: Colour
    iris: Colour
    lips: Colour
    clothes: Colour


class Expression(NamedTuple):
    """What changes within a face: openings from 0 (closed) to 1, `smile` and `brow` from -1 to 1, `gaze` to the side."""

    mouth: float = 0.0
    smile: float = 0.0
    brow: float = 0.0
    eyes: float = 1.0
    gaze: float = 0.0


class Surface(NamedTuple):
    """Points (n, 3), their colours (n, 3) from 0 to 1, unit normals (n, 3), and the class of each (n,)."""

    point: Float[np.ndarray, "n 3"]
    colour: Float[np.ndarray, "n 3"]
    normal: Float[np.ndarray, "n 3"]
    label: Int[np.ndarray, "n"]


def draw_identity(draw: np.random.Generator) -> Identity:
    """A face at random."""
    between = draw.uniform
    tone, warm = between(0.25, 0.95), between(0.0, 0.06)
    skin = np.array([0.45 + 0.5 * tone, 0.28 + 0.5 * tone - warm / 2, 0.18 + 0.5 * tone - warm])
    hair = np.array([[0.08, 0.06, 0.05], [0.3, 0.18, 0.1], [0.75, 0.58, 0.3], [0.5, 0.2, 0.1], [0.6, 0.6, 0.6]])
    iris = np.array([[0.25, 0.15, 0.08], [0.2, 0.4, 0.65], [0.25, 0.45, 0.25], [0.1, 0.08, 0.06]])
    return Identity(
        width=between(0.66, 0.82), jaw=between(0.05, 0.38), eye_apart=between(0.36, 0.48),
        eye_height=between(-0.06, 0.06), eye_size=between(0.15, 0.22), brow_gap=between(0.13, 0.22),
        brow_thick=between(0.02, 0.055), nose_length=between(0.32, 0.46), nose_width=between(0.12, 0.24),
        nose_out=between(0.1, 0.26), mouth_height=between(0.58, 0.68), mouth_width=between(0.26, 0.44),
        lip=between(0.03, 0.085), hairline=between(-0.72, -0.42), hair_length=between(0.0, 1.0),
        skin=skin, hair=hair[draw.integers(len(hair))] * between(0.8, 1.2), iris=iris[draw.integers(len(iris))],
        lips=np.clip(skin * [0.95, 0.6, 0.6] + between(-0.05, 0.1), 0, 1), clothes=between(0.1, 0.9, 3),
    )  # fmt: skip


def draw_expression(draw: np.random.Generator) -> Expression:
    """An expression at random; every third mouth is shut."""
    mouth = 0.0 if draw.uniform() < 1 / 3 else draw.uniform(0.1, 1.0)
    return Expression(mouth, draw.uniform(-1, 1), draw.uniform(-1, 1), draw.uniform(0.35, 1.0), draw.uniform(-1, 1))


def _outline(v: np.ndarray) -> np.ndarray:
    return np.sqrt(np.clip(1 - np.abs(v) ** _FULL, 0, None))


def _half_width(of: Identity, v: np.ndarray) -> np.ndarray:
    return of.width * _outline(v) * (1 - of.jaw * np.clip(v, 0, None) ** 2)


def _nose(of: Identity, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """How far the surface stands out."""
    along = (v - of.eye_height) / of.nose_length
    rise = np.where(along < 1, np.clip(along, 0, 1) ** 1.5, np.exp(-(((along - 1) / 0.15) ** 2)))
    wide = of.nose_width * (0.45 + 0.55 * np.clip(along, 0, 1))
    return of.nose_out * rise * np.exp(-((u / wide) ** 2))


def on_surface(of: Identity, u: np.ndarray, v: np.ndarray) -> Float[np.ndarray, "n 3"]:
    """The points at places (u, v) of the front."""
    half = _half_width(of, v)
    sine = np.clip(u * of.width / np.maximum(half, 1e-9), -1, 1)
    z = _DEEP * _outline(v) * np.sqrt(1 - sine**2) + _nose(of, u, v)
    return np.stack([sine * half, v, z], -1)


def _eye(of: Identity, side: int) -> tuple[float, float]:
    return side * of.eye_apart, of.eye_height


def _lips(of: Identity, how: Expression, across: np.ndarray) -> tuple[np.ndarray, ...]:
    """Heights of the upper and lower edge of the lips, and of the opening between them, at `across` from -1 to 1."""
    arch, gap = np.clip(1 - across**2, 0, None), 0.11 * how.mouth
    middle = of.mouth_height + 0.05 * how.smile * arch
    return (
        middle - (of.lip + gap) * arch, middle + (1.3 * of.lip + gap) * arch,
        middle - gap * arch, middle + gap * arch,
    )  # fmt: skip


def landmarks_of(of: Identity, how: Expression) -> Float[np.ndarray, "70 3"]:
    """The landmarks, in the order of 300-W with the pupils last."""
    t = np.linspace(-1, 1, 17)
    v = 0.95 - np.abs(t) ** 1.7
    places = [np.stack([np.sign(t) * 0.97 * np.abs(t) ** 0.6 * _half_width(of, v) / of.width, v], 1)]
    reach = np.linspace(-1, 1, 5)
    height = of.brow_gap + 0.05 * how.brow + 0.04 * (1 - reach**2)
    for side in (-1, 1):
        x, y = _eye(of, side)
        places.append(np.stack([x + 1.15 * of.eye_size * reach, y - height], 1))
    tip = of.eye_height + of.nose_length
    places.append(np.stack([np.zeros(4), of.eye_height + of.nose_length * np.linspace(0, 0.95, 4)], 1))
    places.append(np.stack([of.nose_width * reach, tip + 0.03 * (1 - reach**2)], 1))
    lid = 0.42 * of.eye_size * how.eyes
    for side in (-1, 1):
        x, y = _eye(of, side)
        across = np.array([-1, -1 / 3, 1 / 3, 1, 1 / 3, -1 / 3])
        places.append(np.stack([x + of.eye_size * across, y + np.array([0, -1, -1, 0, 1, 1]) * lid * 8 / 9], 1))
    out, inner = np.linspace(-1, 1, 7), np.array([-0.85, -0.4, 0, 0.4, 0.85])
    for across, up, low in ((out, 0, 1), (inner, 2, 3)):
        back = across[-2:0:-1]
        v = np.concatenate([_lips(of, how, across)[up], _lips(of, how, back)[low]])
        places.append(np.stack([of.mouth_width * np.concatenate([across, back]), v], 1))
    shift = 0.3 * of.eye_size * how.gaze
    places.append(np.array([[_eye(of, side)[0] + shift, of.eye_height] for side in (-1, 1)]))
    u, v = np.concatenate(places).T
    return on_surface(of, u, v)


def surface_of(of: Identity, how: Expression, *, rows: int = 240, columns: int = 400) -> Surface:
    """The whole head as rows x columns points."""
    v, turn = np.meshgrid(-np.cos(np.linspace(0, np.pi, rows)), np.linspace(-np.pi, np.pi, columns), indexing="ij")
    u = _half_width(of, v) * np.sin(turn) / of.width
    front = np.cos(turn) > 0
    z = _DEEP * _outline(v) * np.cos(turn) + np.where(front, _nose(of, u, v), 0)
    point = np.stack([u * of.width, v, z], -1)  # (rows, columns, 3)
    down, across = np.gradient(point, axis=0), np.gradient(point, axis=1)
    normal = np.cross(across, down)
    normal *= np.where((normal * point).sum(-1, keepdims=True) < 0, -1.0, 1.0)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12)
    wave = of.hairline + 0.25 * np.abs(u) ** 3 + 0.03 * np.sin(9 * u + 10 * of.jaw)
    face = front & (v > wave) & (np.abs(np.sin(turn)) < 0.985)
    label = np.where(face, FACE, np.where(v < 0.75, HAIR, BACKGROUND))
    colour = np.where(label[..., None] == HAIR, of.hair * (1 + 0.12 * np.sin(60 * turn)[..., None]), of.skin)
    colour = np.where(face[..., None], _painted(of, how, u, v), colour)
    return Surface(point.reshape(-1, 3), colour.reshape(-1, 3), normal.reshape(-1, 3), label.reshape(-1))


def _painted(of: Identity, how: Expression, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The colour of the face at each place."""
    colour = np.broadcast_to(of.skin, (*u.shape, 3)).copy()
    cheek = np.exp(-(((np.abs(u) - 0.5) / 0.2) ** 2 + ((v - 0.35) / 0.2) ** 2))[..., None]
    colour = colour * (1 - 0.25 * cheek) + 0.25 * cheek * np.array([0.85, 0.4, 0.35])
    tip = of.eye_height + of.nose_length
    nostril = ((np.abs(u) - 0.5 * of.nose_width) / 0.045) ** 2 + ((v - tip - 0.03) / 0.025) ** 2 < 1
    colour[nostril] = 0.35 * of.skin
    for side in (-1, 1):
        _paint_eye(colour, of, how, side, u, v)
    across = u / of.mouth_width
    up, low, open_up, open_low = _lips(of, how, across)
    wide = np.abs(across) < 1
    colour[wide & (v > up) & (v < low)] = of.lips
    inside = wide & (v > open_up) & (v < open_low) & (open_low - open_up > 0.012)
    colour[inside] = [0.25, 0.06, 0.06]
    colour[inside & (v < open_up + 0.35 * (open_low - open_up))] = [0.92, 0.91, 0.88]
    colour[wide & (np.abs(v - (open_up + open_low) / 2) < 0.012) & ~inside] = 0.55 * of.lips
    return colour


def _paint_eye(colour: np.ndarray, of: Identity, how: Expression, side: int, u: np.ndarray, v: np.ndarray) -> None:
    x, y = _eye(of, side)
    across, lid = (u - x) / of.eye_size, 0.42 * of.eye_size * how.eyes
    arch = np.clip(1 - across**2, 0, None)
    near = np.abs(across) < 1
    colour[near & (np.abs(v - y) < lid * arch + 0.014)] = 0.35 * of.skin  # lashes
    eye = near & (np.abs(v - y) < lid * arch)
    colour[eye] = [0.95, 0.95, 0.94]
    away = np.hypot((u - x - 0.3 * of.eye_size * how.gaze) * of.width, v - y)
    colour[eye & (away < 0.36 * of.eye_size)] = of.iris
    colour[eye & (away < 0.16 * of.eye_size)] = 0.03
    reach = across / 1.15
    brow = y - of.brow_gap - 0.05 * how.brow - 0.04 * (1 - reach**2)
    colour[(np.abs(reach) < 1) & (np.abs(v - brow) < of.brow_thick * (1.1 - 0.5 * side * reach))] = 0.8 * of.hair
