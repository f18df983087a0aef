"""Pictures of rendered heads with landmarks, masks and identities: data about faces for which nobody was photographed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from .head import (
    BACKGROUND,
    HAIR,
    Expression,
    Identity,
    landmarks_of,
    surface_of,
)

CLASSES = ("background", "face", "hair")
FINE = 3  # pixels of the renderer to one of the image, in each direction


class View(NamedTuple):
    """From where, and in what light. Angles in degrees: `yaw` to the side, `pitch` up and down, `roll` in the picture. `scale`
    is half the height of the head, and (x, y) its middle, in heights of the picture; `light` a direction (3,)."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    scale: float = 0.36
    x: float = 0.5
    y: float = 0.47
    light: tuple[float, float, float] = (0.3, -0.5, 0.8)
    background: tuple[float, ...] = (0.5, 0.6, 0.7, 0.3, 0.4, 0.5)


class Rendered(NamedTuple):
    """`landmarks` in pixels; z is towards the viewer."""

    image: UInt8[np.ndarray, "s s 3"]
    mask: UInt8[np.ndarray, "s s"]
    landmarks: Float[np.ndarray, "70 3"]


def draw_scene(draw: np.random.Generator) -> View:
    """Light, background and distance at random, of a head that looks straight ahead."""
    light = draw.uniform(-0.9, 0.9), draw.uniform(-0.8, 0.1), draw.uniform(0.6, 1.0)
    background = tuple(draw.uniform(0.1, 0.95, 6).tolist())
    return View(scale=draw.uniform(0.34, 0.38), light=light, background=background)


def draw_view(draw: np.random.Generator, scene: View) -> View:
    """The head of the scene in another pose: at most 40° to the side, 15° up or down."""
    return scene._replace(
        yaw=draw.uniform(-40, 40), pitch=draw.uniform(-15, 15), roll=draw.uniform(-8, 8),
        x=0.5 + draw.uniform(-0.03, 0.03), y=0.47 + draw.uniform(-0.03, 0.03),
    )  # fmt: skip


def rotation(view: View) -> Float[np.ndarray, "3 3"]:
    """First yaw, then pitch, then roll."""
    (a, b, c), one = np.radians([view.yaw, view.pitch, view.roll]), np.eye(3)
    yaw, pitch, roll = one.copy(), one.copy(), one.copy()
    yaw[[0, 0, 2, 2], [0, 2, 0, 2]] = np.cos(a), np.sin(a), -np.sin(a), np.cos(a)
    pitch[[1, 1, 2, 2], [1, 2, 1, 2]] = np.cos(b), -np.sin(b), np.sin(b), np.cos(b)
    roll[[0, 0, 1, 1], [0, 1, 0, 1]] = np.cos(c), -np.sin(c), np.sin(c), np.cos(c)
    return roll @ pitch @ yaw


def render(of: Identity, how: Expression, view: View, *, size: int = 64) -> Rendered:
    """A picture of size x size pixels; a function of its arguments."""
    side, turn = FINE * size, rotation(view)
    canvas, label = _behind(of, view, side)
    head = surface_of(of, how, rows=max(240, 4 * size), columns=max(400, 6 * size))
    middle = np.array([view.x, view.y, 0.0])
    point = view.scale * head.point @ turn.T + middle  # (n, 3), in heights of the picture
    light = np.array(view.light) / np.linalg.norm(view.light)
    bright = 0.55 + 0.5 * np.clip(head.normal @ turn.T @ light, 0, None)
    column, row = (np.floor(point[:, k] * side).astype(int) for k in (0, 1))
    seen = np.flatnonzero((column >= 0) & (column < side) & (row >= 0) & (row < side))
    seen = seen[np.argsort(point[seen, 2], kind="stable")]  # the nearest is written last
    canvas[row[seen], column[seen]] = head.colour[seen] * bright[seen, None]
    label[row[seen], column[seen]] = head.label[seen]
    fine = np.clip(canvas, 0, 1).reshape(size, FINE, size, FINE, 3).mean((1, 3))
    blocks = label.reshape(size, FINE, size, FINE).transpose(0, 2, 1, 3).reshape(size, size, -1)
    votes = np.stack([(blocks == k).sum(2) for k in range(len(CLASSES))], 2)
    landmarks = size * (view.scale * landmarks_of(of, how) @ turn.T + middle)
    return Rendered(np.rint(255 * fine).astype(np.uint8), votes.argmax(2).astype(np.uint8), landmarks)


def _behind(of: Identity, view: View, side: int) -> tuple[np.ndarray, np.ndarray]:
    """What lies behind the head: two colours, long hair, neck and shoulders."""
    top, low = np.array(view.background[:3]), np.array(view.background[3:])
    share = np.linspace(0, 1, side)[:, None, None]
    canvas = np.broadcast_to(top * (1 - share) + low * share, (side, side, 3)).copy()
    label = np.full((side, side), BACKGROUND)
    x, y, scale = view.x * side, view.y * side, view.scale * side

    def shape(box: tuple[float, float, float, float], colour: np.ndarray, kind: int, name: str = "ellipse") -> None:
        plane = Image.new("1", (side, side))
        left, upper, right, lower = (x + box[0] * scale, y + box[1] * scale, x + box[2] * scale, y + box[3] * scale)
        getattr(ImageDraw.Draw(plane), name)((left, upper, right, lower), fill=1)
        inside = np.asarray(plane)
        canvas[inside], label[inside] = colour, kind

    if of.hair_length > 0.4:
        wide = 1.08 * of.width
        shape((-wide, -0.9, wide, 0.3 + 1.1 * of.hair_length), 0.75 * of.hair, HAIR)
    shape((-1.5, 1.15, 1.5, 3.2), of.clothes, BACKGROUND)
    shape((-0.5 * of.width, 0.5, 0.5 * of.width, 1.35), 0.7 * of.skin, BACKGROUND, "rectangle")
    return canvas, label
