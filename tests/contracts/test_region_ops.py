"""What operations on boxes and regions promise by themselves: bounds, nothing undefined, pure draws, bounded memory."""

from __future__ import annotations

import inspect

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from sightline.decoding.suppression import nms, nms_by_label
from sightline.errors import UsageError
from sightline.layers.boxes.anchors import LARGEST, decode
from sightline.layers.boxes.matching import BACKGROUND, BETWEEN, match, sample, set_aside
from sightline.layers.boxes.regions import pyramid_level, pyramid_roi_align, roi_align, roi_pool
from sightline.layers.convolution.upsampling import (
    bilinear,
    bilinear_kernel,
    bilinear_upsampler,
    nearest,
    spread,
    spread_size,
)
from sightline.structures.boxes import area, clip, coverage, giou, intersection, iou, paired_giou

torch.set_num_threads(1)

edges = st.integers(-40, 40).map(lambda i: i / 4)
corners = st.lists(st.tuples(edges, edges, edges, edges), min_size=1, max_size=8)


def boxes_of(rows: list[tuple[float, float, float, float]]) -> Tensor:
    """(n, 4): any numbers, the smaller first."""
    x1, y1, x2, y2 = torch.tensor(rows).T
    return torch.stack((x1.minimum(x2), y1.minimum(y2), x1.maximum(x2), y1.maximum(y2)), 1)


# -------------------------------------------------------------------------------------------------------------- boxes
@given(corners, corners)
@settings(max_examples=60, deadline=None)
def test_overlaps_lie_within_their_bounds(first, second) -> None:
    a, b = boxes_of(first), boxes_of(second)
    ratio, general, share = iou(a, b), giou(a, b), coverage(a, b)
    assert (ratio >= 0).all() and (ratio <= 1).all() and torch.equal(ratio, iou(b, a).T)
    assert (general <= ratio + 1e-6).all() and (general >= -1 - 1e-6).all()
    assert (share >= 0).all() and (share <= 1 + 1e-6).all()
    assert torch.equal(iou(a, a).diagonal(), (area(a) > 0).float())
    assert torch.allclose(intersection(a, b), intersection(b, a).T)


def test_boxes_without_area_have_finite_answers_and_gradients() -> None:
    """A point on a point, a line in a box, a box turned inside out."""
    a = torch.tensor([[1.0, 1, 1, 1], [0, 0, 0, 5], [5, 5, 0, 0]], requires_grad=True)
    b = torch.tensor([[1.0, 1, 1, 1], [0, 0, 9, 9], [1, 1, 4, 4]])
    total = paired_giou(a, b).sum() + iou(a, b).sum() + giou(a, b).sum() + coverage(a, b).sum()
    (gradient,) = torch.autograd.grad(total, a)
    assert total.isfinite() and gradient.isfinite().all()
    assert area(a).tolist() == [0, 0, 0]


def test_areas_of_half_precision_boxes_do_not_overflow() -> None:
    assert area(torch.tensor([[0, 0, 1000, 1000]], dtype=torch.float16)).tolist() == [1_000_000]


def test_clipping_to_one_size_or_each_to_its_own() -> None:
    boxes = torch.tensor([[-5.0, -5, 50, 50], [90, 90, 99, 99]])
    assert clip(boxes, (20, 30)).tolist() == [[0, 0, 30, 20], [30, 20, 30, 20]]
    assert clip(boxes, torch.tensor([[20, 30], [95, 97]])).tolist() == [[0, 0, 30, 20], [90, 90, 97, 95]]


# -------------------------------------------------------------------------------------------------------- suppression
def test_the_two_rules_differ_where_the_iou_is_the_threshold() -> None:
    boxes, scores = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5]]), torch.tensor([0.8, 0.9])
    assert nms(boxes, scores, 0.5).tolist() == [1, 0]
    assert nms(boxes, scores, 0.5, inclusive=True).tolist() == [1]
    tenths = torch.tensor([[0.0, 0, 10, 1], [0, 0, 7, 1]])  # 7/10 as a float lies below 0.7
    assert nms(tenths, scores, 0.7).tolist() == [1, 0]


@given(corners, st.sampled_from([0.1, 0.25, 0.5, 0.75, 1.0]), st.booleans())
@settings(max_examples=80, deadline=None)
def test_suppression_is_the_greedy_loop(rows, threshold: float, inclusive: bool) -> None:
    boxes = boxes_of(rows)
    scores = (boxes.sum(1) / 8).round()
    overlap = iou(boxes, boxes).tolist()
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda row: -scores[row].item()):
        if not any(overlap[i][j] > threshold or (inclusive and overlap[i][j] == threshold) for j in kept):
            kept.append(i)
    assert nms(boxes, scores, threshold, inclusive=inclusive).tolist() == kept


@pytest.mark.parametrize(("threshold", "inclusive"), [(-0.1, False), (1.5, False), (float("nan"), False), (0.0, True)])
def test_thresholds_that_cannot_be_meant(threshold: float, inclusive: bool) -> None:
    with pytest.raises(UsageError, match=r"use a threshold in \(0, 1\]"):
        nms(torch.zeros(1, 4), torch.zeros(1), threshold, inclusive=inclusive)


def test_labels_are_kept_apart_however_large() -> None:
    """Adding label · size to coordinates, the usual way, moves edges at large labels by whole boxes."""
    box = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10], [0, 0, 10, 9]])
    label = torch.tensor([2**60, 2**60, 2**60 + 1, 2**60 + 1])
    assert nms_by_label(box, torch.tensor([0.9, 0.8, 0.7, 0.6]), label, 0.5).tolist() == [0, 2]


class Largest(TorchDispatchMode):
    """Remembers the bytes of the largest tensor that any operation made."""

    bytes = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        for tensor in tree_iter(result):
            if isinstance(tensor, Tensor):
                self.bytes = max(self.bytes, tensor.untyped_storage().nbytes())
        return result


def test_memory_of_the_worst_case_is_bounded() -> None:
    """10,000 boxes on one spot, so every pair of a head overlaps: a dozen tensors of at most 8 MB, where one (n, n) has 400."""
    g = torch.Generator().manual_seed(0)
    corner = torch.rand(10_000, 2, generator=g)
    boxes, scores = torch.cat((corner, corner + 100), 1), torch.rand(10_000, generator=g)
    with Largest() as largest:
        assert len(nms(boxes, scores, 0.5)) == 1
    assert 1e6 < largest.bytes < 10e6


# ------------------------------------------------------------------------------------------------------------ regions
def maps(*sides: int) -> list[Tensor]:
    g = torch.Generator().manual_seed(1)
    return [torch.randn(2, 3, side, side, generator=g) for side in sides]


BOXES = torch.tensor([[3.0, 4, 30, 20], [0, 0, 64, 64], [10, 10, 10, 10], [500, 500, 600, 600]])
IMAGE = torch.tensor([0, 1, 1, 0])


@pytest.mark.parametrize("samples", [0, 2])
def test_a_constant_map_stays_constant_and_outside_is_zero(samples: int) -> None:
    constant = torch.full((2, 3, 16, 16), 5.0)
    got = roi_align(constant, BOXES, IMAGE, output=2, scale=0.25, samples=samples, aligned=False)
    assert torch.allclose(got[:3], torch.tensor(5.0)) and (got[3] == 0).all()
    assert (roi_pool(constant, BOXES, IMAGE, output=2, scale=0.25)[3] == 0).all()


def test_half_precision_features_are_summed_in_float32() -> None:
    features, boxes = maps(16)[0].half(), BOXES * 1.037
    got = roi_align(features, boxes, IMAGE, output=2, scale=0.25, samples=2)
    wide = roi_align(features.float(), boxes, IMAGE, output=2, scale=0.25, samples=2)
    assert got.dtype == torch.float16 and torch.equal(got, wide.half())


def test_no_boxes_give_no_features() -> None:
    (features,) = maps(16)
    for samples in (0, 2):
        got = roi_align(features, BOXES[:0], IMAGE[:0], output=(2, 3), scale=0.25, samples=samples)
        assert got.shape == (0, 3, 2, 3)
    assert roi_pool(features, BOXES[:0], IMAGE[:0], output=(2, 3), scale=0.25).shape == (0, 3, 2, 3)


def test_levels_change_where_the_paper_says() -> None:
    sides = torch.tensor([1.0, 111, 112, 223, 224, 447, 448, 5000, 0])
    boxes = torch.stack((sides * 0, sides * 0, sides, sides), 1)
    assert pyramid_level(boxes, [2, 3, 4, 5]).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 0]


def test_unknown_windows() -> None:
    with pytest.raises(UsageError, match="unknown windows 'lecture'"):
        roi_pool(maps(4)[0], BOXES, IMAGE, output=2, scale=1, windows="lecture")


# --------------------------------------------------------------------------------------------------- anchors, matching
def test_decoding_never_overflows() -> None:
    anchor = torch.tensor([[0.0, 0, 10, 10]])
    got = decode(torch.tensor([[0.0, 0, 1e4, 1e4]]), anchor)
    assert torch.allclose(got[0, 2] - got[0, 0], torch.tensor(10.0).mul(torch.tensor(LARGEST).exp()))


def test_a_true_box_that_no_anchor_touches_takes_none() -> None:
    overlap = torch.tensor([[0.0, 0, 0, 0], [0.6, 0.2, 0, 0]])
    assert match(overlap, high=0.7, low=0.3, allow_low_quality=True).tolist() == [1, -1, -1, -1]
    assert match(overlap[:0], high=0.7, low=0.3).tolist() == [BACKGROUND] * 4


def test_ignored_regions_are_neither() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 21], [50, 50, 60, 60]])
    crowd = torch.tensor([[0.0, 0, 100, 10]])
    assert set_aside(torch.tensor([BACKGROUND, 4, BACKGROUND, BACKGROUND]), anchors, crowd).tolist() == [
        BETWEEN,
        4,
        BACKGROUND,
        BACKGROUND,
    ]
    assert set_aside(torch.tensor([4]), anchors[:1], crowd[:0]).tolist() == [4]


def test_sampling_is_a_function_of_its_key() -> None:
    matched = torch.cat((torch.zeros(500, dtype=torch.long), torch.full((5000,), BACKGROUND)))

    def draw(seed: int, *key: int) -> list[int]:
        got = sample(matched, count=256, positive_share=0.5, seed=seed, key=key)
        return torch.cat(got).tolist()

    before = torch.get_rng_state()
    assert draw(1, 2, 3) == draw(1, 2, 3)
    assert torch.equal(before, torch.get_rng_state())
    assert len({tuple(draw(*key)) for key in ((1, 2, 3), (2, 2, 3), (1, 3, 3), (1, 2, 4))}) == 4
    times = torch.zeros(len(matched))
    for step in range(300):
        times[draw(0, step)] += 1
    assert abs(times[:500].mean() - 300 * 128 / 500) < 1e-3 and times[:500].std() < 1.2 * (300 * 0.256 * 0.744) ** 0.5
    assert times[500:].max() < 25  # 7.7 expected


# ---------------------------------------------------------------------------------------------------------- upsampling
@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_a_learnable_layer_starts_as_bilinear(factor: int) -> None:
    (x,) = maps(7)
    layer, inner = bilinear_upsampler(3, factor), slice(factor, -factor)
    got, want = layer(x), bilinear(x, (7 * factor, 7 * factor))
    assert got.shape == want.shape
    assert torch.allclose(got[:, :, inner, inner], want[:, :, inner, inner], atol=1e-5)
    assert abs(bilinear_kernel(factor).sum() - factor**2) < 1e-9


def test_nearest_copies() -> None:
    x = torch.arange(4.0).reshape(1, 1, 2, 2)
    assert nearest(x, (4, 4))[0, 0].tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]


@pytest.mark.parametrize(("stride", "padding", "extra"), [(1, 0, 0), (2, 1, 0), (2, 1, 1), (3, 2, 2)])
def test_spreading_is_the_transposed_convolution(stride: int, padding: int, extra: int) -> None:
    g = torch.Generator().manual_seed(2)
    x, kernel = torch.randn(2, 3, 4, 5, generator=g).double(), torch.randn(3, 2, 3, 4, generator=g).double()
    options = {"stride": stride, "padding": padding, "output_padding": extra}
    got = spread(x, kernel, **options)
    assert torch.allclose(got, F.conv_transpose2d(x, kernel, **options), atol=1e-12)
    assert got.shape[2:] == (spread_size(4, 3, **options), spread_size(5, 4, **options))
    with pytest.raises(UsageError, match="depth 3 cannot spread 2 channels"):
        spread(x[:, :2], kernel)


@pytest.mark.parametrize(("dilation", "groups"), [(2, 1), (1, 3), (3, 3)])
def test_spreading_with_dilation_and_groups(dilation: int, groups: int) -> None:
    g = torch.Generator().manual_seed(2)
    x, kernel = torch.randn(2, 6, 4, 5, generator=g).double(), torch.randn(6, 2, 3, 4, generator=g).double()
    options = {"stride": 2, "padding": 1, "dilation": dilation, "groups": groups}
    assert torch.allclose(spread(x, kernel, **options), F.conv_transpose2d(x, kernel, **options), atol=1e-12)
    with pytest.raises(UsageError, match="6 channels do not divide into 4 groups"):
        spread(x, kernel, groups=4)


def test_dilation_in_the_size() -> None:
    layer = nn.ConvTranspose2d(1, 1, 3, stride=2, padding=2, dilation=3, output_padding=1)
    want = layer(torch.zeros(1, 1, 5, 5)).shape[2]
    assert spread_size(5, 3, stride=2, padding=2, dilation=3, output_padding=1) == want


# ------------------------------------------------------------------------------------------------------ export, compile
# Tracing cannot see through the checks of shapes that the suite adds: `pytest -o addopts= tests/contracts/test_region_ops.py`.
whole = pytest.mark.skipif(inspect.unwrap(roi_align) is not roi_align, reason="shapes are being checked")


class Heads(nn.Module):
    """What a region network does after its proposals: read, shift, clip."""

    def forward(self, fine: Tensor, coarse: Tensor, boxes: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        read = pyramid_roi_align([fine, coarse], boxes, image, size=(64, 64), output=2)
        return read, clip(decode(read.mean((2, 3), keepdim=True)[:, :1, 0].expand(-1, 1, 4)[:, 0], boxes), (64, 64))


@whole
def test_strict_export_with_any_number_of_boxes() -> None:
    inputs = (*maps(16, 8), BOXES, IMAGE)
    boxes = torch.export.Dim("boxes", min=2, max=4096)
    program = torch.export.export(
        Heads(), inputs, dynamic_shapes=(None, None, {0: boxes}, {0: boxes}), strict=True
    ).module()
    more = (*maps(16, 8), BOXES.repeat(3, 1), IMAGE.repeat(3))
    for case in (inputs, more):
        for got, want in zip(program(*case), Heads()(*case), strict=True):
            assert torch.allclose(got, want, atol=1e-6)


@whole
def test_compiled_whole() -> None:
    def read(features: Tensor, boxes: Tensor) -> Tensor:
        return roi_align(features, boxes, IMAGE, output=2, scale=0.25, samples=2)

    features = maps(16)[0].requires_grad_()
    got = torch.compile(read, fullgraph=True, backend="aot_eager")(features, BOXES)
    want = read(features, BOXES)
    assert torch.allclose(got, want, atol=1e-6)
    grads = [torch.autograd.grad(y.square().sum(), features)[0] for y in (got, want)]
    assert torch.allclose(*grads, atol=1e-5)
