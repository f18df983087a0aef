"""Two pictures of one plane: SIFT, matches that pass the ratio test, and the homography that most of them agree on.

Keypoints and their 128 numbers are scikit-image's SIFT (Lowe 2004, IJCV 60). A match counts if its nearest descriptor is nearer
than `ratio` times the second nearest. RANSAC (Fischler & Bolles 1981) draws four matches at a time and keeps the homography
with the most matches within `tolerance` pixels; it is then fitted to all of these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from PIL import Image, ImageDraw

from sightline.errors import DataError

Points = Float[np.ndarray, "n 2"]


@dataclass(frozen=True)
class Keypoints:
    """points (n, 2) as x, y in pixels; descriptors (n, 128)."""

    points: Points
    descriptors: Float[np.ndarray, "n 128"]


@dataclass(frozen=True)
class Matches:
    """first, second (n, 2): points that belong together; `inlier` (n,) whether the homography brings one to the other."""

    first: Points
    second: Points
    inlier: Bool[np.ndarray, "n"]
    homography: Float[np.ndarray, "3 3"] | None


def keypoints(grey: Float[np.ndarray, "h w"]) -> Keypoints:
    """Of an image with values of 0-1. DataError where there are none."""
    from skimage.feature import SIFT

    sift = SIFT()
    try:
        sift.detect_and_extract(grey)
    except RuntimeError as error:
        raise DataError("SIFT finds no keypoints in this image", "use a larger image, or one with texture") from error
    points, descriptors = np.asarray(sift.keypoints, float), np.asarray(sift.descriptors, float)
    return Keypoints(points[:, ::-1], descriptors)


def nearest_pairs(a: Keypoints, b: Keypoints, ratio: float = 0.8) -> Int[np.ndarray, "m 2"]:
    """Numbers of keypoints that match, one row a pair: unambiguous, and each the other's nearest."""
    square = (a.descriptors**2).sum(1)[:, None] - 2 * a.descriptors @ b.descriptors.T + (b.descriptors**2).sum(1)
    distance = np.sqrt(np.maximum(square, 0))
    order = np.argsort(distance, 1, kind="stable")
    rows = np.arange(len(distance))
    best = order[:, 0]
    clear = distance.shape[1] < 2 or distance[rows, best] < ratio * distance[rows, order[:, min(1, order.shape[1] - 1)]]
    mutual = distance.argmin(0)[best] == rows
    kept = np.flatnonzero(np.broadcast_to(clear, mutual.shape) & mutual)
    return np.stack([kept, best[kept]], 1)


def fitted_homography(first: Points, second: Points) -> Float[np.ndarray, "3 3"]:
    """The homography that brings `first` to `second`, by least squares of the cross products of at least four pairs, in
    coordinates that are centred and scaled (Hartley 1997)."""
    (a, to_a), (b, to_b) = _conditioned(first), _conditioned(second)
    x, y = a.T
    u, v = b.T
    zero, one = np.zeros(len(a)), np.ones(len(a))
    rows = np.concatenate(
        [
            np.stack([-x, -y, -one, zero, zero, zero, u * x, u * y, u], 1),
            np.stack([zero, zero, zero, -x, -y, -one, v * x, v * y, v], 1),
        ]
    )
    matrix = np.linalg.svd(rows)[2][-1].reshape(3, 3)
    matrix = np.linalg.inv(to_b) @ matrix @ to_a
    return matrix / matrix[2, 2] if abs(matrix[2, 2]) > 1e-12 else matrix


def _conditioned(points: Points) -> tuple[Points, Float[np.ndarray, "3 3"]]:
    centre = points.mean(0)
    scale = np.sqrt(2) / max(float(np.hypot(*(points - centre).T).mean()), 1e-9)
    return (points - centre) * scale, np.array(
        [[scale, 0, -scale * centre[0]], [0, scale, -scale * centre[1]], [0, 0, 1]]
    )


def moved(points: Points, homography: Float[np.ndarray, "3 3"]) -> Points:
    """Points under a homography."""
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], 1) @ homography.T
    depth = homogeneous[:, 2:]
    return homogeneous[:, :2] / np.where(np.abs(depth) < 1e-12, 1e-12, depth)


def ransac(
    first: Points, second: Points, *, tolerance: float = 3.0, rounds: int = 500, seed: int = 0
) -> tuple[Float[np.ndarray, "3 3"] | None, Bool[np.ndarray, "n"]]:
    """The homography and which pairs agree with it; None where no four pairs do."""
    best = np.zeros(len(first), bool)
    if len(first) < 4:
        return None, best
    draw = np.random.default_rng(seed)
    for _ in range(rounds):
        chosen = draw.choice(len(first), 4, replace=False)
        trial = fitted_homography(first[chosen], second[chosen])
        agrees = np.hypot(*(moved(first, trial) - second).T) < tolerance
        best = agrees if agrees.sum() > best.sum() else best
    if best.sum() < 4:
        return None, best
    matrix = fitted_homography(first[best], second[best])
    return matrix, np.hypot(*(moved(first, matrix) - second).T) < tolerance


def match(
    first: Float[np.ndarray, "h w"], second: Float[np.ndarray, "h w"], *, ratio: float = 0.8, tolerance: float = 3.0,
    seed: int = 0,
) -> Matches:  # fmt: skip
    """Match two grey images with values of 0-1."""
    a, b = keypoints(first), keypoints(second)
    pairs = nearest_pairs(a, b, ratio)
    one, other = a.points[pairs[:, 0]], b.points[pairs[:, 1]]
    homography, inlier = ransac(one, other, tolerance=tolerance, seed=seed)
    return Matches(one, other, inlier, homography)


def match_picture(first: np.ndarray, second: np.ndarray, matches: Matches, most: int = 100) -> np.ndarray:
    """Both images (h, w, 3) uint8 side by side, matches that agree joined by green lines, others by red ones."""
    high = max(first.shape[0], second.shape[0])
    canvas = Image.new("RGB", (first.shape[1] + second.shape[1], high), (255, 255, 255))
    canvas.paste(Image.fromarray(first), (0, 0))
    canvas.paste(Image.fromarray(second), (first.shape[1], 0))
    pen = ImageDraw.Draw(canvas)
    order = np.argsort(matches.inlier, kind="stable")  # those that agree on top
    for place in order[:: max(len(order) // most, 1)]:
        (x1, y1), (x2, y2) = matches.first[place], matches.second[place]
        colour = (0, 158, 115) if matches.inlier[place] else (213, 94, 0)
        pen.line([(x1, y1), (first.shape[1] + x2, y2)], fill=colour, width=1)
    return np.asarray(canvas)
