"""Augmentation depends on (seed, position) and nothing else, and moves everything that belongs to an image together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from sightline.augmentation.affine import Affine
from sightline.augmentation.moves import Flip, Shift
from sightline.augmentation.operation import VISIBLE
from sightline.augmentation.photography import Blur, Crop, Hue, Noise, Turn
from sightline.augmentation.pipeline import Pipeline
from sightline.augmentation.policies.policy import Policy
from sightline.augmentation.presets import PRESETS, preset
from sightline.augmentation.values import Colour, Cutout, Erasing
from sightline.errors import UsageError
from sightline.structures.batch import Batch
from sightline.structures.targets import IGNORE, Boxes, Labels, Masks, Pairs, Several, Target
from tests.augmented import SIDE, batch_of, marker

torch.set_num_threads(1)
OPERATIONS: dict[str, Callable[[Batch, int], Batch]] = {
    "flip": Flip(),
    "shift": Shift(3),
    "affine": Affine(rotate=30.0, scale=0.3, shear=10.0, translate=0.1),
    "colour": Colour(0.4, 0.4, 0.4),
    "erasing": Erasing(probability=0.7),
    "cutout": Cutout(0.4),
    "crop": Crop(0.3),
    "turn": Turn(rotate=20.0, scale=0.3),
    "blur": Blur(1.5),
    "noise": Noise(20.0),
    "hue": Hue(0.2),
    **{name: Policy.of(name) for name in ("rand-m20-n3", "trivial")},
    **{name: preset(name, flip=True, size=SIDE) for name in PRESETS},
}


def parts(batch: Batch, row: int) -> dict[str, object]:
    """Everything that belongs to one sample, as bytes."""
    several = batch.target
    assert isinstance(several, Several)
    mask, box, label = (several.by_name[name] for name in ("mask", "box", "class"))
    assert isinstance(mask, Masks)
    assert isinstance(box, Boxes)
    assert isinstance(label, Labels)
    mine = box.sample == row
    tensors = [batch.image[row], batch.frame[row], batch.size[row], mask.index[row], box.boxes[mine], box.label[mine]]
    return {
        "tensors": [t.contiguous().numpy().tobytes() for t in tensors],
        "label": int(label.index[row]),
        "id": int(batch.id[row]),
    }


# --------------------------------------------------------------------------------------------- (seed, position) alone
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_sample_does_not_see_its_batch(name: str) -> None:
    operation, everyone = OPERATIONS[name], list(range(1000, 1037))
    whole = operation(batch_of(everyone), 5)
    expected = {position: parts(whole, row) for row, position in enumerate(everyone)}
    shuffled = np.random.default_rng(0).permutation(everyone).tolist()
    compositions = [[p] for p in everyone[:9]] + [shuffled, shuffled[:5], everyone[::2], [1003] * 4 + [1001] * 7]
    for positions in compositions:
        out = operation(batch_of(positions), 5)
        assert [parts(out, row) for row in range(len(positions))] == [expected[p] for p in positions]


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - {"none"}))
def test_seed_and_position_matter(name: str) -> None:
    batch = batch_of([7] * 40)
    moved = replace(batch, position=torch.arange(40))
    a, b, c = (OPERATIONS[name](x, seed).image for x, seed in ((moved, 1), (moved, 2), (batch, 1)))
    assert not torch.equal(a, b)
    assert len({one.contiguous().numpy().tobytes() for one in a}) > 1
    assert len({one.contiguous().numpy().tobytes() for one in c}) == 1


def test_operations_draw_independently() -> None:
    """Another operation before it changes nothing about what an operation draws."""
    batch = batch_of(list(range(20)), full=True)
    alone, after = Flip()(batch, 3).frame, Pipeline((Colour(), Flip()))(batch, 3).frame
    assert torch.equal(alone, after)


# ----------------------------------------------------------------------------------------------------- what comes out
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", OPERATIONS)
def test_kind_layout_size_and_padding_stay(name: str, channels: int) -> None:
    batch = batch_of(list(range(30)), channels=channels)
    before = batch.image.clone()
    out = OPERATIONS[name](batch, 1)
    assert torch.equal(batch.image, before)  # not changed in place
    assert out.image.dtype == torch.uint8
    assert out.image.shape == batch.image.shape
    assert out.image.is_contiguous(memory_format=torch.channels_last)
    assert out.frame.dtype == torch.float32
    assert torch.equal(out.size, batch.size)
    mask = out.target.by_name["mask"]  # type: ignore[attr-defined]
    for row, (height, width) in enumerate(batch.size.tolist()):
        assert (out.image[row, :, height:] == 0).all()
        assert (out.image[row, :, :, width:] == 0).all()
        assert (mask.index[row, height:] == IGNORE).all()
        assert (mask.index[row, :, width:] == IGNORE).all()


@pytest.mark.parametrize("name", ["flip", "shift", "light"])
def test_the_frame_says_where_a_pixel_went(name: str) -> None:
    """For whole-pixel moves: the marked pixel's centre, exactly."""
    for y, x in ((11, 9), (12, 13)):
        out = OPERATIONS[name](marker(list(range(50)), y, x), 4)
        found = out.image[:, 0].nonzero()
        assert len(found) == 50  # far enough from the edge to stay inside
        told = out.frame @ torch.tensor([x + 0.5, y + 0.5, 1])
        assert torch.equal(told[:, :2], found[:, [2, 1]] + 0.5)


def test_affines_frame_says_where_a_spot_went() -> None:
    operation = Affine(rotate=40.0, scale=0.3, shear=15.0, translate=0.05)
    out = operation(marker(list(range(60)), 13, 9, radius=1.5), 4)
    weight = out.image[:, 0].double()
    axis = torch.arange(SIDE) + 0.5
    x, y = ((weight * a).sum((1, 2)) / weight.sum((1, 2)) for a in (axis[None, None], axis[None, :, None]))
    told = (out.frame @ torch.tensor([9.5, 13.5, 1]))[:, :2]
    assert (torch.stack([x, y], 1) - told).abs().max() < 0.1
    assert (told - torch.tensor([9.5, 13.5])).abs().max() > 1  # it did move


def test_frames_are_continued() -> None:
    """original → batch stays right whatever stood in the frame before."""
    batch = marker([3, 8, 9], 11, 9)
    scaled = batch.with_pixels(frame=torch.diag(torch.tensor([2.0, 4.0, 1.0])).repeat(3, 1, 1))
    for operation in (Shift(3), Affine(), Pipeline((Shift(3), Flip(), Affine()))):
        plain, onwards = operation(batch, 1).frame, operation(scaled, 1).frame
        assert torch.allclose(onwards, plain @ torch.diag(torch.tensor([2.0, 4.0, 1.0])))


# ------------------------------------------------------------------------------------------- image, masks and boxes
@given(st.integers(0, 10**6), st.data())
@settings(max_examples=100, deadline=None)
def test_boxes_and_masks_move_with_the_image(position: int, data: st.DataObject) -> None:
    """A filled rectangle of whole pixels in the image, in the mask and as a box stays one thing."""
    height, width = data.draw(st.integers(8, SIDE)), data.draw(st.integers(8, SIDE))
    x0, y0 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    x1, y1 = data.draw(st.integers(x0 + 1, width)), data.draw(st.integers(y0 + 1, height))
    pixels = torch.zeros(1, SIDE, SIDE, 3, dtype=torch.uint8)
    index = torch.full((1, SIDE, SIDE), IGNORE)
    index[0, :height, :width] = 0
    pixels[0, y0:y1, x0:x1], index[0, y0:y1, x0:x1] = 200, 1
    box = Boxes(torch.tensor([[x0, y0, x1, y1]]).float(), torch.tensor([5]), torch.tensor([0]))
    batch = Batch.of_images(
        pixels.permute(0, 3, 1, 2), torch.tensor([[height, width]]), torch.eye(3)[None],
        torch.tensor([[height, width]]), torch.tensor([1]),
        torch.tensor([position]), Several({"box": box, "mask": Masks(index)}),
    )  # fmt: skip
    for operation in (Flip(), Shift(6), Pipeline((Shift(6), Flip()))):
        out = operation(batch, 0)
        moved, mask = (out.target.by_name[name] for name in ("box", "mask"))  # type: ignore[attr-defined]
        bright = out.image[0, 0] == 200
        assert torch.equal(bright, mask.index[0] == 1)
        inside = bright.sum().item()
        if inside / ((x1 - x0) * (y1 - y0)) < VISIBLE:
            assert len(moved.boxes) == 0
            continue
        (u0, v0, u1, v1), = moved.boxes.int().tolist()  # fmt: skip
        assert moved.label.tolist() == [5]
        assert (u1 - u0) * (v1 - v0) == inside
        assert bright[v0:v1, u0:u1].all()


def test_a_sliver_of_a_box_is_dropped() -> None:
    """A box is kept while a tenth of its area is inside."""
    n, seed = 200, 0
    batch = batch_of(list(range(n)), full=True)
    corner = torch.tensor([[0.0, 0.0, 4.3, 10.0]])  # at a shift of 4, 7 % of its width is left
    box = Boxes(corner.repeat(n, 1), torch.arange(n), torch.arange(n))
    out = Shift(4)(batch.with_pixels(target=box, frame=torch.eye(3).repeat(n, 1, 1)), seed)
    assert isinstance(out.target, Boxes)
    left = (4.3 + out.frame[:, 0, 2].clamp(max=0)) / 4.3
    above = (10 + out.frame[:, 1, 2].clamp(max=0)) / 10
    kept = left * above >= VISIBLE
    assert 0 < (~kept).sum() < n
    assert torch.equal(out.target.label, kept.nonzero()[:, 0])


boxes = st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 4), min_size=0, max_size=6)


@given(boxes, st.integers(0, 10**6))
@settings(max_examples=80, deadline=None)
def test_boxes_stay_valid_and_inside(shares: list[tuple[float, ...]], position: int) -> None:
    batch = batch_of([position, position + 1])
    corners = torch.tensor(shares).view(-1, 4)
    sample = torch.arange(len(shares)) % 2
    scale = batch.size[sample].float().flip(1).repeat(1, 2)
    xyxy = (
        torch.cat([torch.minimum(corners[:, :2], corners[:, 2:]), torch.maximum(corners[:, :2], corners[:, 2:])], 1)
        * scale
    )
    given_boxes = Boxes(xyxy, torch.arange(len(shares)), sample)
    for operation in (Flip(), Shift(6), Affine(30.0, 0.4, 20.0, 0.2), preset("standard", flip=True, size=SIDE)):
        out = operation(replace(batch, target=given_boxes), 0).target
        assert isinstance(out, Boxes)
        height, width = batch.size[out.sample].float().unbind(1)
        x0, y0, x1, y1 = out.boxes.unbind(1)
        assert ((x0 >= 0) & (x0 < x1) & (x1 <= width) & (y0 >= 0) & (y0 < y1) & (y1 <= height)).all()
        assert torch.equal(out.sample, sample[out.label])  # each kept box still belongs to its image
        assert len(out.boxes) == len(out.label) == len(out.sample)


@given(boxes)
@settings(max_examples=100, deadline=None)
def test_flip_twice_is_identity(shares: list[tuple[float, ...]]) -> None:
    batch, always = batch_of([4, 5, 6]), Flip(probability=1.0)
    twice = always(always(batch, 0), 0)
    assert torch.equal(twice.image, batch.image)
    assert torch.equal(twice.target.by_name["mask"].index, batch.target.by_name["mask"].index)  # type: ignore[attr-defined]
    before, after = (b.target.by_name["box"] for b in (batch, twice))  # type: ignore[attr-defined]
    assert torch.equal(before.label, after.label)
    assert torch.allclose(before.boxes, after.boxes, atol=1e-5)
    assert torch.allclose(twice.frame, batch.frame, atol=1e-5)


def test_flip_mirrors_each_image_within_its_width() -> None:
    batch = batch_of(list(range(20)))
    out = Flip(probability=1.0)(batch, 0)
    for row, (height, width) in enumerate(batch.size.tolist()):
        assert torch.equal(out.image[row, :, :height, :width], batch.image[row, :, :height, :width].flip(2))


def test_affine_masks_follow_the_image() -> None:
    """A mask that is the thresholded image stays it, but for the pixels on the edge between."""
    far = (torch.arange(SIDE)[:, None] - 12) ** 2 + (torch.arange(SIDE)[None] - 8) ** 2
    disc = (far < 36).long()
    batch = marker(list(range(30)), 0, 0)
    pixels = (disc * 200).to(torch.uint8)[None, None].repeat(30, 3, 1, 1).contiguous(memory_format=torch.channels_last)
    out = Affine(rotate=30.0, scale=0.2, shear=10.0, translate=0.1)(
        batch.with_pixels(image=pixels, target=Masks(disc.repeat(30, 1, 1))), 0
    )
    assert isinstance(out.target, Masks)
    assert out.target.index.dtype == torch.int64
    assert set(out.target.index.unique().tolist()) <= {0, 1, IGNORE}
    sure = out.image[:, 0] == 200
    assert sure.sum() > 30 * 50
    assert (out.target.index[sure] == 1).all()
    assert (out.target.index[(out.image[:, 0] == 0)] != 1).all()


@pytest.mark.parametrize("operation", [Flip(), Shift(2), Affine()])
def test_targets_that_cannot_be_moved_are_refused(operation: Flip | Shift | Affine) -> None:
    @dataclass(frozen=True)
    class Captions(Target):
        words: tuple[str, ...] = ("a cat",)

        @classmethod
        def join(cls, parts: Sequence[Target]) -> Captions:
            return cls(tuple(word for p in parts if isinstance(p, Captions) for word in p.words))

    with pytest.raises(TypeError, match="targets of type Captions cannot follow a moved image"):
        operation(batch_of([1], target=Captions()), 0)


@pytest.mark.parametrize("name", OPERATIONS)
def test_whole_image_knowledge_stays(name: str) -> None:
    positions = [1, 2, 3, 4]
    for target in (Labels.of(torch.tensor([1, -1, 0, 2])), Pairs(torch.tensor([1, 1, 2, 3]))):
        assert OPERATIONS[name](batch_of(positions, target=target), 0).target is target


# --------------------------------------------------------------------------------------------------- pipelines, presets
def test_moves_in_one_gather_are_moves_one_by_one() -> None:
    batch = batch_of(list(range(100)))
    for operations in ((Shift(5), Flip()), (Flip(), Shift(5)), (Shift(5), Colour(), Flip())):
        together, one_by_one = Pipeline(operations)(batch, 8), batch
        for operation in operations:
            one_by_one = operation(one_by_one, 8)
        assert torch.equal(together.image, one_by_one.image)
        assert torch.equal(together.target.by_name["mask"].index, one_by_one.target.by_name["mask"].index)  # type: ignore[attr-defined]
        assert torch.allclose(together.frame, one_by_one.frame, atol=1e-4)


def test_an_operation_may_occur_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        Pipeline((Flip(), Colour(), Flip()))


def test_presets() -> None:
    assert {name: [o.name for o in preset(name, flip=True, size=32).operations] for name in PRESETS} == {
        "none": [],
        "light": ["shift", "flip"],
        "elastic": ["affine", "elastic"],
        "driving": ["shift", "flip", "affine", "colour"],
        "medical": ["flip", "affine", "colour"],
        "standard": ["shift", "flip", "affine", "colour", "erasing"],
    }
    assert all(o.name != "flip" for name in PRESETS for o in preset(name, flip=False, size=32).operations)
    pixels = {size: preset("light", flip=True, size=size).operations[0] for size in (10, 28, 32, 224)}
    assert pixels == {10: Shift(1), 28: Shift(3), 32: Shift(4), 224: Shift(23)}
    batch = batch_of([1, 2])
    assert preset("none", flip=True, size=32)(batch, 1) is batch


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"'ligth'.*did you mean 'light"):
        preset("ligth", flip=True, size=32)


class Counted(TorchDispatchMode):
    """How many operations torch was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations += 1
        return func(*args, **(kwargs or {}))


def test_no_loop_over_samples() -> None:
    """A batch of 128 costs as many calls of torch as a batch of 4."""
    counts = []
    for n in (4, 128):
        batch = Batch.of_images(
            image=torch.full((n, 3, 32, 32), 7, dtype=torch.uint8).contiguous(memory_format=torch.channels_last),
            size=torch.full((n, 2), 32),
            frame=torch.eye(3).repeat(n, 1, 1),
            natural=torch.full((n, 2), 32),
            id=torch.arange(n),
            position=torch.arange(n),
            target=Labels.of(torch.zeros(n, dtype=torch.int64)),
        )
        for name in PRESETS:
            with Counted() as counted:
                preset(name, flip=True, size=32)(batch, 1)
            counts.append((name, counted.operations))
    assert counts[: len(PRESETS)] == counts[len(PRESETS) :]
    assert dict(counts)["light"] > 5
