"""What single-shot networks predict, as tensors: at every cell of a grid, or for every anchor of several maps.

CellPredictions     Redmon et al. 2016, YOLO, arXiv:1506.02640       CellTargets     the objects, each in its cell
AnchorPredictions   Redmon & Farhadi 2018, YOLOv3, arXiv:1804.02767
"""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Bool, Float, Int
from torch import Tensor


class CellPredictions(NamedTuple):
    """What each of h x w cells of an image predicts, with `n` predictors for boxes and one answer about the class.

    boxes        (x, y, √width, √height): the centre in units of the cell, from 0 to 1 inside it; the square roots of width
                 and height in units of the image
    confidence   of each predictor: how likely there is an object, times the IoU of its box with it
    classes      probability of each class if there is an object
    """

    boxes: Float[Tensor, "b h w n 4"]
    confidence: Float[Tensor, "b h w n"]
    classes: Float[Tensor, "b h w k"]


class CellOutputs(NamedTuple):
    """The boxes of all predictors, n of them in an image, cell by cell."""

    boxes: Float[Tensor, "b n 4"]
    predicted: CellPredictions

    @property
    def score(self) -> Float[Tensor, "b n k"]:
        """Confidence times class probability (equation 1), in float32. Both are linear outputs: what lies outside of 0 to 1
        is cut off."""
        _, confidence, classes = self.predicted
        product = confidence.float().clamp(0, 1)[..., None] * classes.float().clamp(0, 1)[..., None, :]
        return product.flatten(1, 3)  # (b, h, w, n, k) → (b, h · w · n, k)


class CellTargets(NamedTuple):
    """The objects that are learned, at most one in each cell: `cell` (t, 3) is (image, row, column), `boxes` (t, 4) the centre
    in units of the cell, then width and height in units of the image; `label` (t,), and `truth` (t,) the row of the object
    among those of the batch. `ignored` (b, h, w) marks cells that lie in a region which is neither object nor background."""

    cell: Int[Tensor, "t 3"]
    boxes: Float[Tensor, "t 4"]
    label: Int[Tensor, "t"]
    truth: Int[Tensor, "t"]
    ignored: Bool[Tensor, "b h w"]


class AnchorPredictions(NamedTuple):
    """What each anchor of all maps predicts, maps from coarse to fine, then row by row, column by column, anchor by anchor.

    deltas      (x, y, w, h): logits of the centre inside the cell, and the logarithm of the size in units of the anchor
    objectness  logit; `classes` a logit for each class, independent of each other
    anchors     (x, y, width, height) in pixels: the upper left corner of the cell, and the size of the anchor
    strides     side of each cell in pixels
    """

    deltas: Float[Tensor, "b a 4"]
    objectness: Float[Tensor, "b a"]
    classes: Float[Tensor, "b a k"]
    anchors: Float[Tensor, "a 4"]
    strides: Float[Tensor, "a"]


class AnchorOutputs(NamedTuple):
    """The boxes of all anchors."""

    boxes: Float[Tensor, "b a 4"]
    predicted: AnchorPredictions

    @property
    def score(self) -> Float[Tensor, "b a k"]:
        """The probability of an object times that of its class, in float32."""
        return self.predicted.objectness.float().sigmoid()[..., None] * self.predicted.classes.float().sigmoid()


class AnchorTargets(NamedTuple):
    """What t anchors with an object learn: `image`, `place` (which anchor), the centre inside the cell from 0 to 1 and the
    logarithm of the size in units of the anchor as `deltas` (t, 4), `label`, `share` of the image's area, and the row of the
    object, `truth`. `ignored` (b, a): neither object nor background."""

    image: Int[Tensor, "t"]
    place: Int[Tensor, "t"]
    deltas: Float[Tensor, "t 4"]
    label: Int[Tensor, "t"]
    share: Float[Tensor, "t"]
    truth: Int[Tensor, "t"]
    ignored: Bool[Tensor, "b a"]
