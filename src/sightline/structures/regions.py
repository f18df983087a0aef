"""What goes into a region network besides images, and what comes out: only tensors, so any wrapper can pass them on.

Region networks (Girshick 2015, arXiv:1504.08083; Ren et al. 2015, arXiv:1506.01497; He et al. 2017, arXiv:1703.06870)
need the targets in their forward pass, where these decide which anchors and regions are sampled. The samples are
returned, so that the losses can be computed outside.
"""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Bool, Float, Int
from torch import Tensor

BOX_UNITS = (10.0, 10.0, 5.0, 5.0)  # the box head predicts deltas this much larger than those of the anchors


class RegionTargets(NamedTuple):
    """The true objects of a batch: `boxes` (t, 4) xyxy in its frame, `label` (t,) 0..k-1, `sample` (t,) their image, `ignore`
    (t,) neither objects nor background, `mask` (t, h, w) or None. `key` (b,) identifies each image and keys the sampling."""

    boxes: Float[Tensor, "t 4"]
    label: Int[Tensor, "t"]
    sample: Int[Tensor, "t"]
    ignore: Bool[Tensor, "t"]
    key: Int[Tensor, "b"]
    mask: Bool[Tensor, "t h w"] | None = None


class SelectionRule(NamedTuple):
    """Which detections are kept: scores above `score`; of two boxes of a class that overlap by more than `overlap` (IoU), the
    better one; and the best `limit` of an image."""

    score: float = 0.05
    overlap: float = 0.5
    limit: int = 100


class Selection(NamedTuple):
    """Selection objects: `boxes` (d, 4), `label` (d,) 0..k-1, `score` (d,), `sample` (d,); image by image, best first."""

    boxes: Float[Tensor, "d 4"]
    label: Int[Tensor, "d"]
    score: Float[Tensor, "d"]
    sample: Int[Tensor, "d"]


class RegionSamples(NamedTuple):
    """Anchors or regions sampled for the loss: `place` (s,) their index among all (anchors: of b·a), `sample` (s,) their image,
    `truth` (s,) the row of RegionTargets that each is matched with, -1 for background."""

    place: Int[Tensor, "s"]
    sample: Int[Tensor, "s"]
    truth: Int[Tensor, "s"]


class GivenOutputs(NamedTuple):
    """What a network computed about r regions that it was given, of b images.

    regions, sample   (r, 4) in pixels, and (r,) their images; with targets those that were sampled for the loss
    class_logits      (r, k + 1), background first; box_deltas (r, k + 1, 4) for each class, None where no loss trains them
    draw              the targets of the r regions (only with targets)
    detections        the detections that are kept (only without)
    features          of a network whose last layers are fitted after training: (r, f) and (r, g), of a region's class and box
    """

    regions: Float[Tensor, "r 4"]
    sample: Int[Tensor, "r"]
    class_logits: Float[Tensor, "r c"]
    box_deltas: Float[Tensor, "r c 4"] | None = None
    draw: RegionSamples | None = None
    detections: Selection | None = None
    features: tuple[Float[Tensor, "r f"], Float[Tensor, "r g"]] | None = None


class RegionOutputs(NamedTuple):
    """Everything a region network computed about b images with `a` anchors each and r regions in all.

    logits, deltas        (b, a) objectness and (b, a, 4) shift of each anchor; anchors (a, 4)
    proposals, sample     (r, 4) the regions that the heads classified, in pixels, and (r,) their images
    class_logits          (r, k + 1), background first; box_deltas (r, k + 1, 4) for each class
    anchor_draw           sampled anchors; region_draw: the targets of the r regions (both only with targets)
    detections            the detections that are kept (only without targets)
    mask_logits           (m, k + 1, s, s) of the regions with an object (with targets) or of `detections`
    """

    logits: Float[Tensor, "b a"]
    deltas: Float[Tensor, "b a 4"]
    anchors: Float[Tensor, "a 4"]
    proposals: Float[Tensor, "r 4"]
    sample: Int[Tensor, "r"]
    class_logits: Float[Tensor, "r c"]
    box_deltas: Float[Tensor, "r c 4"]
    anchor_draw: RegionSamples | None = None
    region_draw: RegionSamples | None = None
    detections: Selection | None = None
    mask_logits: Float[Tensor, "m c s s"] | None = None
