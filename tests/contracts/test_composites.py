"""Samples made of several images: what they show is where their targets say, and they depend on (seed, position) alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sightline.augmentation.composites.composite import Augmentation
from sightline.augmentation.composites.mixup import Mixup
from sightline.augmentation.composites.mosaic import GREY, Mosaic
from sightline.augmentation.composites.placing import SMALLEST
from sightline.augmentation.moves import Flip, Shift
from sightline.augmentation.operation import VISIBLE
from sightline.augmentation.pipeline import Pipeline
from sightline.data.loaders import Decoding, Images, Memory, Reading
from sightline.data.orders import shuffle
from sightline.data.stream import Stream
from sightline.preprocessing.geometry import Geometry
from sightline.structures.batch import Batch
from sightline.structures.masks import extents
from sightline.structures.targets import IGNORE, Boxes, Masks, Outlines, Several, Target, Values

torch.set_num_threads(1)
HEIGHT, WIDTH, N = 40, 48, 24


@cache
def drawn(number: int, fit: str = "stretch", masks: bool = True) -> Reading:
    """Image `number` of the training split: three rectangles on black, of 255 in blue. Red is the image's own, green the
    object's, and so is its label."""
    draw = np.random.default_rng(number)
    height, width = (30, 60) if number % 2 else (60, 40)
    pixels = np.zeros((height, width, 3), np.uint8)
    boxes = []
    for column in range(3):
        x, y = column * width // 3 + int(draw.integers(0, 3)), int(draw.integers(0, height - 22))
        tall, wide = int(draw.integers(6, 20)), int(draw.integers(5, 10))
        pixels[y : y + tall, x : x + wide] = colour(3 * number + column)
        boxes.append([x, y, x + wide, y + tall])
    pixels, frame = Geometry(HEIGHT, WIDTH, fit=fit, pad=0).apply(pixels)
    scale, offset = np.tile(np.diag(frame)[:2], 2), np.tile(frame[:2, 2], 2)
    moved = torch.from_numpy(np.array(boxes) * scale + offset).float()
    label = torch.arange(3) + 3 * number
    packed = Boxes(moved, label, torch.zeros(3, dtype=torch.int64), label % 5 == 0)
    x, y = torch.arange(WIDTH) + 0.5, torch.arange(HEIGHT) + 0.5
    across = (moved[:, :1] <= x) & (x < moved[:, 2:3])  # (3, w)
    mask = ((moved[:, 1:2] <= y) & (y < moved[:, 3:]))[:, :, None] & across[:, None]
    target: dict[str, Target] = {"box": packed, "outline": Outlines(replace(packed, boxes=extents(mask).float()), mask)}
    if masks:
        target["mask"] = Masks(mask.any(0).long()[None])
    return Reading(pixels, frame, (height, width), Several(target))


def colour(label: int) -> tuple[int, int, int]:
    return 10 * (label // 3) + 5, 80 * (label % 3) + 60, 255


def images_of(*, memory: bool = True, **options: Any) -> Images:
    read = partial(drawn, **options)
    if memory:
        return Memory.fill(read, np.arange(N), np.arange(N), 0)
    return Decoding(read, torch.arange(N), torch.arange(N))


def stream_of(plan: Augmentation, images: Images, micro: int = 12, seed: int = 0, **options: Any) -> Stream:
    return Stream(images, shuffle(N), N, micro, seed, invite=partial(plan.partners, seed=seed), **options)


def named(target: Target, name: str) -> Any:
    assert isinstance(target, Several)
    return target.by_name[name]


def parts(batch: Batch, row: int) -> list[bytes]:
    """Everything that belongs to one sample."""
    outline, box = named(batch.target, "outline"), named(batch.target, "box")
    tensors = [batch.image[row], batch.frame[row], batch.id[row], outline.mask[outline.boxes.sample == row]]
    if "mask" in batch.target.by_name:  # type: ignore[attr-defined]
        tensors.append(named(batch.target, "mask").index[row])
    for packed in (box, outline.boxes):
        which = packed.sample == row
        tensors += [packed.boxes[which], packed.label[which], packed.ignore[which]]
    return [t.contiguous().numpy().tobytes() for t in tensors]


# --------------------------------------------------------------------------------------------- (seed, position) alone
LIGHT = Pipeline((Shift(4), Flip()))
PLANS = {
    "mosaic": Augmentation(LIGHT, (Mosaic(0.6),)),
    "mixup": Augmentation(LIGHT, (Mixup(0.6),)),
    "both": Augmentation(LIGHT, (Mosaic(0.5), Mixup(0.5)), closed=30),
}


@pytest.mark.parametrize("name", PLANS)
def test_samples_depend_on_seed_and_position_alone(name: str) -> None:
    plan, masks = PLANS[name], name == "mosaic"
    images = images_of(masks=masks)  # 36 samples

    def samples(batch: Callable[[int], Batch], count: int, seed: int = 0) -> dict[int, list[bytes]]:
        outs = [(b, plan(b, seed)) for b in map(batch, range(count))]
        return {int(p): parts(out, row) for b, out in outs for row, p in enumerate(b.position)}

    expected = samples(stream_of(plan, images).batch, 3)
    assert samples(stream_of(plan, images, 4).batch, 9) == expected
    ranks = [samples(stream_of(plan, images, 6, rank=rank, ranks=2).batch, 3) for rank in range(2)]
    assert ranks[0] | ranks[1] == expected
    with closing(stream_of(plan, images_of(memory=False, masks=masks), 9, workers=3).feed(0)) as threads:  # type: ignore[type-var]
        assert samples(lambda k: next(threads), 4) == expected
    later = stream_of(plan, images).feed(2)  # as a run that goes on
    assert samples(lambda k: next(later), 1) == {p: one for p, one in expected.items() if p >= 24}
    assert samples(stream_of(plan, images, seed=1).batch, 1, 1) != expected
    assert len({one[0] for one in expected.values()}) > 33  # of 36 images


def test_partners_are_others_of_the_epoch_and_none_after_the_close() -> None:
    plan = PLANS["both"]
    stream = stream_of(plan, images_of(masks=False))
    batches = [stream.batch(k) for k in range(5)]
    share = {name: 0 for name in ("mosaic/0", "mosaic/1", "mosaic/2", "mixup/0")}
    keys: list[int] = []
    for batch in batches:
        for name, partners in batch.partners.items():
            assert (batch.position[partners.owner] < 30).all()
            assert (partners.batch.id != batch.id[partners.owner]).all()
            share[name] += len(partners.owner)
            keys += partners.batch.position.tolist()
        out = plan(batch, 0)
        assert not out.partners
        closed = batch.position >= 30
        if closed.all():
            assert torch.equal(out.image, LIGHT(batch, 0).image)
    assert all(0.2 < count / 30 < 0.8 for count in share.values())
    assert share["mosaic/0"] == share["mosaic/1"] == share["mosaic/2"]
    assert len(set(keys)) == len(keys) and not set(keys) & set(range(60))  # the draws of a partner are its own


def test_the_only_image_is_its_own_partner() -> None:
    images = Memory.fill(partial(drawn, masks=False), np.arange(1), np.arange(1), 0)
    plan = PLANS["both"]
    batch = Stream(images, shuffle(1), 1, 4, 0, invite=partial(plan.partners, seed=0)).batch(0)
    assert {int(i) for partners in batch.partners.values() for i in partners.batch.id} == {0}


# ------------------------------------------------------------------------------------------ objects are where they are
def seen(image: Tensor, label: int, strength: int) -> Tensor:
    """The pixels (h, w) of at least half the strength whose colour is that of the object."""
    red, green, blue = image.float()
    r, g, b = colour(label)
    near = ((red / blue - r / b).abs() < 0.018) & ((green / blue - g / b).abs() < 0.1)
    return near & (blue >= strength / 2)


def check_objects(image: Tensor, target: Target, row: int, ids: list[int], scale: float, strength: int = 255) -> int:
    """Every object of these images is where the target says, or is not in the target because little of it is visible.
    Returns how many are not."""
    box, outline = named(target, "box"), named(target, "outline")
    kept = {label for label, sample in zip(box.label.tolist(), box.sample.tolist(), strict=True) if sample == row}
    assert kept <= {3 * i + column for i in ids for column in range(3)}
    for packed in (box, outline.boxes):
        assert torch.equal(packed.ignore, packed.label % 5 == 0)
    dropped = 0
    for i in set(ids):
        whole = named(drawn(i).target, "box")  # type: ignore[arg-type]
        for label, before in zip(whole.label.tolist(), whole.boxes, strict=True):
            pixels = seen(image, label, strength)
            wide, tall = ((before[2:] - before[:2]) * scale).tolist()
            if label in kept:
                found = extents(pixels[None])[0]
                own = box.boxes[(box.label == label) & (box.sample == row)]
                of_mask = (outline.boxes.label == label) & (outline.boxes.sample == row)
                if ids.count(i) > 1 or min(wide, tall) < 4:  # one image twice; too small to be recognised
                    continue
                assert (own[0] - found).abs().max() <= 1, (label, own, found)
                if of_mask.any():
                    assert torch.equal(outline.boxes.boxes[of_mask], extents(outline.mask[of_mask]).float())
                    assert (outline.boxes.boxes[of_mask][0] - found).abs().max() <= 1
            else:
                dropped += 1
                edge = wide + tall  # half the pixels of its border, whose strength says little
                assert pixels.sum() <= VISIBLE * wide * tall + edge or min(wide, tall) < SMALLEST + 1
    return dropped


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
def test_objects_of_a_mosaic(fit: str) -> None:
    plan = Augmentation(composites=(Mosaic(smallest=0.6, largest=2.0),))
    stream, dropped, grey = stream_of(plan, images_of(fit=fit)), 0, 0
    for k in range(4):
        batch = stream.batch(k)
        assert set(batch.partners) == {"mosaic/0", "mosaic/1", "mosaic/2"}
        out = plan(batch, 0)
        for row in range(len(batch)):
            ids = [int(batch.id[row]), *(int(p.batch.id[row]) for p in batch.partners.values())]
            scale = float(out.frame[row, 0, 0] / batch.frame[row, 0, 0])
            dropped += check_objects(out.image[row], out.target, row, ids, scale) if fit == "stretch" else 0
            pixels, index = out.image[row], named(out.target, "mask").index[row]
            outside = (pixels == GREY).all(0)
            assert (index[outside] == IGNORE).all() and not (index[~outside] == IGNORE).any()
            assert ((pixels[2] > 128) != (index == 1))[~outside].float().mean() < 0.08
            grey += int(outside.sum())
    assert (dropped > 30 or fit != "stretch") and grey > 0


def test_the_frame_of_a_mosaic_is_that_of_the_sample() -> None:
    plan = Augmentation(composites=(Mosaic(),))
    batch = stream_of(plan, images_of(fit="letterbox")).batch(0)
    out = plan(batch, 0)
    found = 0
    before, after = named(batch.target, "box"), named(out.target, "box")
    for label, box, sample in zip(after.label.tolist(), after.boxes, after.sample.tolist(), strict=True):
        own = (before.label == label) & (before.sample == sample)
        if not own.any() or label // 3 != int(batch.id[sample]):
            continue
        motion = out.frame[sample].double() @ batch.frame[sample].double().inverse()
        x0, y0, x1, y1 = before.boxes[own][0].double().tolist()
        corners = motion @ torch.tensor([[x0, x1], [y0, y1], [1.0, 1.0]]).double()
        told = corners[:2].T.flatten()
        inside = told.clamp(min=0).minimum(torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT]).double())
        assert torch.allclose(inside, box.double(), atol=1e-3)
        found += 1
    assert found > 5


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.5])
def test_objects_of_mixup(scale: float) -> None:
    """The partner alone is what is added to a black image."""
    plan = Augmentation(composites=(Mixup(smallest=scale, largest=scale),))
    stream, dropped = stream_of(plan, images_of(masks=False)), 0
    for k in range(3):
        batch = stream.batch(k)
        out, alone = plan(batch, 0), plan(batch.with_pixels(image=torch.zeros_like(batch.image)), 0)
        double = 2 * (out.image.int() - alone.image.int())
        assert ((double - batch.image.int()).abs() <= 1).all()
        grey = (alone.image == (GREY + 1) // 2).all(1).any()
        assert grey == (scale < 1)
        partners = batch.partners["mixup/0"].batch
        box, outline, before = named(out.target, "box"), named(out.target, "outline"), named(batch.target, "box")
        for row, own in enumerate(batch.id.tolist()):
            mine = (box.sample == row) & (box.label // 3 == own)
            assert torch.equal(box.boxes[mine], before.boxes[before.sample == row])
            others = Several({"box": box.take(~mine), "outline": outline.take(outline.boxes.label // 3 != own)})
            dropped += check_objects(alone.image[row], others, row, [int(partners.id[row])], scale, 127)
    assert dropped > 5 or scale < 1.5


@pytest.mark.parametrize("composite", [Mosaic(), Mixup()])
def test_targets_that_cannot_be_placed_are_refused(composite: Mosaic | Mixup) -> None:
    numbers = Values.of(torch.tensor([[3.0]]))
    images = Memory.fill(lambda i: drawn(i)._replace(target=numbers), np.arange(3), np.arange(3), 0)
    plan = Augmentation(composites=(composite,))
    batch = Stream(images, shuffle(3), 3, 3, 0, invite=partial(plan.partners, seed=0)).batch(0)
    with pytest.raises(TypeError, match="targets of type Values cannot be placed"):
        plan(batch, 0)
