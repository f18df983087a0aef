"""A face put in the place of another without a network: its triangles are moved to the other's landmarks, and it is blended in.

This is what face swapping was before networks, and a second maker of swapped faces for whoever wants to detect them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

from sightline.errors import DataError


class Warped(NamedTuple):
    """The source's picture moved to the target's landmarks, and the `region` of the target's face."""

    image: Float[np.ndarray, "h w 3"]
    region: Bool[np.ndarray, "h w"]


def warped_face(
    source: UInt8[np.ndarray, "h w 3"],
    source_landmarks: Float[np.ndarray, "k 2"],
    target_landmarks: Float[np.ndarray, "k 2"],
    *,
    margin: int = 1,
) -> Warped:
    """By a piecewise affine map of the Delaunay triangles of the landmarks (in pixels), which fills their convex hull; the
    region is smaller by `margin` pixels, so that gradients at its boundary are those of the source too.

    DataError for landmarks on one line, which have no triangles.
    """
    from scipy.interpolate import LinearNDInterpolator  # half a second that importing this package should not cost
    from scipy.ndimage import binary_erosion, map_coordinates
    from scipy.spatial import ConvexHull, QhullError
    from skimage.draw import polygon2mask

    height, width, _ = source.shape
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
    aim, start = (np.concatenate([points, corners]) for points in (target_landmarks, source_landmarks))
    try:
        outline = target_landmarks[ConvexHull(target_landmarks).vertices]
    except QhullError as error:
        raise DataError("the landmarks lie on one line", "use an image with a face") from error
    y, x = np.mgrid[:height, :width] + 0.5  # the middle of a pixel
    place = LinearNDInterpolator(aim, start)(x, y) - 0.5  # linear in each triangle; map_coordinates counts from middles
    planes = [map_coordinates(plane.astype(np.float64), place[..., ::-1].transpose(2, 0, 1), order=1, mode="nearest")
              for plane in source.transpose(2, 0, 1)]  # fmt: skip
    inside = polygon2mask((height, width), outline[:, ::-1] - 0.5)
    return Warped(np.stack(planes, 2), binary_erosion(inside, iterations=margin) if margin else inside)
