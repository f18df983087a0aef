"""What goes into a region network beside images, and what comes out: tensors only, so any wrapper can carry them.

Region networks (Girshick 2015, arXiv:1504.08083; Ren et al. 2015, arXiv:1506.01497; He et al. 2017, arXiv:1703.06870)
are the one kind that needs the truth while it computes: it decides which anchors and regions are looked at. What they
looked at comes out, so the losses can stay outside.
"""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Bool, Float, Int
from torch import Tensor

BOX_UNITS = (10.0, 10.0, 5.0, 5.0)  # shifts that the box head gives are this much larger than those of anchors


class RegionTargets(NamedTuple):
    """The true objects of a batch: `boxes` (t, 4) xyxy in its frame, `label` (t,) 0..k-1, `sample` (t,) their image, `ignore`
    (t,) neither objects nor background, `mask` (t, h, w) or None. `key` (b,) names each image: it decides what is drawn."""

    boxes: Float[Tensor, "t 4"]
    label: Int[Tensor, "t"]
    sample: Int[Tensor, "t"]
    ignore: Bool[Tensor, "t"]
    key: Int[Tensor, "b"]
    mask: Bool[Tensor, "t h w"] | None = None


class Kept(NamedTuple):
    """Which found objects remain: scores above `score`, of two boxes of a class that overlap by more than `overlap` (IoU) the
    better one, and the best `limit` of an image."""

    score: float = 0.05
    overlap: float = 0.5
    limit: int = 100


class Found(NamedTuple):
    """Found objects: `boxes` (d, 4), `label` (d,) 0..k-1, `score` (d,), `sample` (d,); image by image, best first."""

    boxes: Float[Tensor, "d 4"]
    label: Int[Tensor, "d"]
    score: Float[Tensor, "d"]
    sample: Int[Tensor, "d"]


class Drawn(NamedTuple):
    """Some anchors or regions drawn to learn from. `place` (s,) among all of them (anchors: of b·a), `sample` (s,) their
    image, `truth` (s,) the row of RegionTargets that each shall find, -1 for background."""

    place: Int[Tensor, "s"]
    sample: Int[Tensor, "s"]
    truth: Int[Tensor, "s"]


class RegionOutputs(NamedTuple):
    """Everything a region network computed about b images with `a` anchors each and r regions in all.

    logits, deltas        (b, a) objectness and (b, a, 4) shift of each anchor; anchors (a, 4)
    proposals, sample     (r, 4) the regions that the heads judged, in pixels, and (r,) their images
    class_logits          (r, k + 1), background first; box_deltas (r, k + 1, 4) for each class
    anchor_draw           anchors drawn to learn from; region_draw says what the r regions shall find (both with targets)
    found                 what remains of the regions, where the network goes on to ask for masks (without targets)
    mask_logits           (m, k + 1, s, s) of the regions with an object to find (with targets) or of `found`
    """

    logits: Float[Tensor, "b a"]
    deltas: Float[Tensor, "b a 4"]
    anchors: Float[Tensor, "a 4"]
    proposals: Float[Tensor, "r 4"]
    sample: Int[Tensor, "r"]
    class_logits: Float[Tensor, "r c"]
    box_deltas: Float[Tensor, "r c 4"]
    anchor_draw: Drawn | None = None
    region_draw: Drawn | None = None
    found: Found | None = None
    mask_logits: Float[Tensor, "m c s s"] | None = None
