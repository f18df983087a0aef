"""Operations on boxes and regions against torchvision's: the same indices, values and gradients."""

from __future__ import annotations

import itertools

import pytest
import torch
import torchvision.ops as reference
from torch import Tensor
from torchvision.models.detection import anchor_utils
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler, BoxCoder, Matcher
from torchvision.models.detection.image_list import ImageList

from sightline.decoding.suppression import nms, nms_by_label
from sightline.layers.boxes.anchors import anchors, decode, encode
from sightline.layers.boxes.matching import match, sample
from sightline.layers.boxes.regions import pyramid_level, pyramid_roi_align, roi_align, roi_pool
from sightline.structures.boxes import area, clip, giou, iou, paired_giou, paired_iou

torch.set_num_threads(1)


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some_boxes(n: int, g: torch.Generator, *, size: float = 300, largest: float = 150, around: int = 0) -> Tensor:
    """(n, 4), some beyond the image, gathered around a few points where asked, some without area."""
    centre = torch.rand(n, 2, generator=g) * size
    if around and n:
        centre = centre[torch.randint(around, (n,), generator=g) % n] + torch.randn(n, 2, generator=g) * 5
    extent = torch.rand(n, 2, generator=g) * largest
    extent[torch.rand(n, generator=g) < 0.02] = 0
    return torch.cat((centre - extent / 2, centre + extent / 2), 1)


# -------------------------------------------------------------------------------------------------------- suppression
def test_suppression_keeps_the_same_indices_in_1000_cases() -> None:
    """Scores and coordinates on coarse grids give ties and IoUs on the threshold itself; thresholds no float has."""
    thresholds = itertools.cycle((0.5, 0.3, 0.7, 0.0, 0.25, 1 / 3, 0.9, 1.0, 0.6, 0.1))
    sizes = itertools.cycle((0, 1, 2, 17, 60, 130))
    ties = 0
    for case, threshold, n in zip(range(1000), thresholds, sizes, strict=False):
        g = drawn(case)
        boxes = some_boxes(n, g, around=case % 5, largest=(20, 150)[case % 2])
        scores = torch.rand(n, generator=g)
        if case % 3 == 0:
            boxes = (boxes / 10).round()
        if case % 2 == 0:
            scores = (scores * 5).round() / 5
            ties += n - len(scores.unique())
        assert torch.equal(nms(boxes, scores, threshold), reference.nms(boxes, scores, threshold)), case
    assert ties > 5_000


@pytest.mark.parametrize("threshold", [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9])
def test_an_iou_that_is_the_threshold_as_a_float(threshold: float) -> None:
    """0.3 lies below the nearest float: torchvision compares in double, so 3 of 10 pixels exceed it. So here."""
    tenths = round(threshold * 10)
    boxes, scores = torch.tensor([[0.0, 0, 10, 1], [0, 0, tenths, 1]]), torch.tensor([0.9, 0.8])
    assert torch.equal(nms(boxes, scores, threshold), reference.nms(boxes, scores, threshold))


@pytest.mark.parametrize("around", [0, 40])
def test_suppression_over_several_heads(around: int) -> None:
    g = drawn(7)
    boxes, scores = some_boxes(5000, g, size=800, around=around), torch.rand(5000, generator=g)
    assert torch.equal(nms(boxes, scores, 0.5), reference.nms(boxes, scores, 0.5))
    label = torch.randint(3, (5000,), generator=g)
    by_label = nms_by_label(boxes, scores, label, 0.5)
    each = [(label == k).nonzero()[:, 0] for k in range(3)]
    kept = torch.cat([rows[reference.nms(boxes[rows], scores[rows], 0.5)] for rows in each])
    assert torch.equal(by_label, kept[scores[kept].argsort(descending=True)])


# -------------------------------------------------------------------------------------------------------------- boxes
def test_overlaps() -> None:
    g = drawn(1)
    a, b = some_boxes(40, g), some_boxes(50, g)
    a[:, 2:] += 1  # torchvision divides 0 by 0 where neither has an area
    assert torch.allclose(area(a), reference.box_area(a))
    assert torch.allclose(iou(a, b), reference.box_iou(a, b), atol=1e-6)
    assert torch.allclose(giou(a, b), reference.generalized_box_iou(a, b), atol=1e-6)
    assert torch.equal(paired_iou(a, b[:40]), iou(a, b[:40]).diagonal())
    assert torch.equal(paired_giou(a, b[:40]), giou(a, b[:40]).diagonal())
    assert torch.equal(clip(a, (200, 100)), reference.clip_boxes_to_image(a, (200, 100)))


# ------------------------------------------------------------------------------------------------------------ regions
def regions(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A map (2, 5, 13, 17) at 1/16, 80 boxes inside, across and outside the image, their images, torchvision's form."""
    g = drawn(2)
    features = torch.randn(2, 5, 13, 17, generator=g, dtype=dtype)
    boxes = (some_boxes(80, g) - 20).to(dtype)
    image = torch.randint(2, (80,), generator=g)
    return features, boxes, image, torch.cat((image[:, None].to(dtype), boxes), 1)


def furthest_apart(got, want, features: Tensor) -> float:
    """The largest difference between two functions of the features, in values and in gradients."""
    leaf, other = features.clone().requires_grad_(), features.clone().requires_grad_()
    a, b = got(leaf), want(other)
    assert a.shape == b.shape
    upstream = torch.randn(a.shape, generator=drawn(3), dtype=a.dtype)
    (da,), (db,) = torch.autograd.grad(a, leaf, upstream), torch.autograd.grad(b, other, upstream)
    assert db.abs().max() > 1
    return max((a - b).abs().max().item(), (da - db).abs().max().item())


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("samples", [0, 1, 2, 3])
def test_roi_align(samples: int, aligned: bool) -> None:
    features, boxes, image, packed = regions()
    apart = furthest_apart(
        lambda f: roi_align(f, boxes, image, output=(7, 5), scale=1 / 16, samples=samples, aligned=aligned),
        lambda f: reference.roi_align(f, packed, (7, 5), 1 / 16, samples, aligned),
        features,
    )
    assert apart <= 1e-5


def test_roi_align_in_double_and_channels_last() -> None:
    features, boxes, image, packed = regions(torch.float64)
    got = roi_align(
        features.to(memory_format=torch.channels_last), boxes, image, output=3, scale=0.1, samples=2, aligned=True
    )
    assert torch.allclose(got, reference.roi_align(features, packed, 3, 0.1, 2, True), rtol=0, atol=1e-13)


@pytest.mark.parametrize("scale", [1 / 16, 0.11])
def test_roi_pool(scale: float) -> None:
    """Rectified features: most maxima are ties at 0, whose gradient goes to the first pixel of the window."""
    features, boxes, image, packed = regions()
    boxes[:20] = (boxes[:20] / 8).round() * 8  # edges halfway between two map pixels
    packed[:, 1:] = boxes
    for given in (features, features.clamp(min=0)):
        apart = furthest_apart(
            lambda f: roi_pool(f, boxes, image, output=(7, 5), scale=scale),
            lambda f: reference.roi_pool(f, packed, (7, 5), scale),
            given,
        )
        assert apart <= 1e-5


def test_pyramid_roi_align() -> None:
    """Maps whose sizes are rounded up, boxes from nothing to larger than the image: every level is read."""
    g = drawn(4)
    size = (397, 605)
    sides = [(-(-size[0] // step), -(-size[1] // step)) for step in (4, 8, 16, 32)]
    maps = [torch.randn(2, 3, *side, generator=g).requires_grad_() for side in sides]
    boxes = torch.cat([some_boxes(40, g, size=400, largest=largest) for largest in (30, 200, 400, 1200)])
    image = torch.arange(160) // 80
    pool = reference.MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)
    want = pool({str(i): m for i, m in enumerate(maps)}, [boxes[:80], boxes[80:]], [size, (300, 605)])
    got = pyramid_roi_align(maps, boxes, image, size=size, output=7)
    assert set(pyramid_level(boxes, [2, 3, 4, 5]).tolist()) == {0, 1, 2, 3}
    assert torch.allclose(got, want, rtol=0, atol=1e-5)
    upstream = torch.randn(got.shape, generator=g)
    for mine, theirs in zip(
        torch.autograd.grad(got, maps, upstream), torch.autograd.grad(want, maps, upstream), strict=True
    ):
        assert theirs.abs().max() > 1
        assert torch.allclose(mine, theirs, rtol=0, atol=1e-5)


# ------------------------------------------------------------------------------------------------ anchors and matching
@pytest.mark.parametrize("several", [False, True])
def test_anchors(several: bool) -> None:
    sizes = [[s * f for f in (1, 2 ** (1 / 3), 2 ** (2 / 3))] if several else [s] for s in (32, 64, 128)]
    sizes = [[int(s) for s in level] for level in sizes]
    ratios = [(0.5, 1.0, 2.0)] * 3
    maps, size = [(25, 38), (13, 19), (7, 10)], (200, 304)
    generator = anchor_utils.AnchorGenerator(tuple(map(tuple, sizes)), tuple(ratios))
    (want,) = generator(ImageList(torch.zeros(1, 3, *size), [size]), [torch.zeros(1, 1, *m) for m in maps])
    strides = [(size[0] // h, size[1] // w) for h, w in maps]
    assert torch.equal(torch.cat(anchors(sizes, ratios, strides, maps)), want)


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)])
def test_box_coding(weights: tuple[float, float, float, float]) -> None:
    g = drawn(5)
    from_, to = some_boxes(50, g), some_boxes(50, g)
    from_[:, 2:] += 10  # no box is 62.5 times as large as its anchor: it would be decoded smaller
    to[:, 2:] += 10
    coder = BoxCoder(weights)
    assert torch.allclose(encode(to, from_, weights), coder.encode_single(to, from_), atol=1e-5)
    deltas = torch.randn(50, 3, 4, generator=g) * 10  # some beyond the largest growth
    want = coder.decode_single(deltas.flatten(1), from_).unflatten(1, (3, 4))
    assert torch.allclose(decode(deltas, from_[:, None], weights), want, rtol=1e-5, atol=1e-3)
    assert torch.allclose(decode(encode(to, from_, weights), from_, weights), to, atol=1e-3)


@pytest.mark.parametrize("allow_low_quality", [False, True])
@pytest.mark.parametrize(("high", "low"), [(0.7, 0.3), (0.5, 0.5), (0.5, 0.4)])
def test_matching(high: float, low: float, allow_low_quality: bool) -> None:
    matcher = Matcher(high, low, allow_low_quality)
    seen: set[int] = set()
    for seed in range(50):
        g = drawn(seed)
        overlap = torch.rand(6, 200, generator=g).pow(2)
        if seed % 2:
            overlap = (overlap * 10).round() / 10  # several anchors tie for the best
        got = match(overlap, high=high, low=low, allow_low_quality=allow_low_quality)
        assert torch.equal(got, matcher(overlap))
        seen |= set(got.tolist())
    assert {0, 5} <= seen


@pytest.mark.parametrize("counts", [(300, 10, 50), (20, 300, 50), (5, 3, 2), (0, 40, 3), (40, 0, 3)])
def test_sampling_draws_as_many(counts: tuple[int, int, int]) -> None:
    background, objects, between = counts
    matched = torch.cat((torch.full((background,), -1), torch.arange(objects), torch.full((between,), -2)))
    drawn_ = sample(matched, count=64, positive_share=0.25, seed=1, key=(2, 3))
    labels = torch.where(matched >= 0, 1, torch.where(matched == -1, 0, -1))
    (positive,), (negative,) = BalancedPositiveNegativeSampler(64, 0.25)([labels])
    assert len(drawn_.positive) == positive.sum() and len(drawn_.negative) == negative.sum()
    assert (matched[drawn_.positive] >= 0).all() and (matched[drawn_.negative] == -1).all()
