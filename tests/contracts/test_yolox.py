"""The YOLOX line: published counts and names, the assignment against a slow loop, and the task on small drawings."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import sightline
from sightline.drawing.overlay import object_colour
from sightline.engine.devices import make_fabric, set_up
from sightline.errors import DamagedError, UsageError
from sightline.kinds.catalogue import KINDS
from sightline.kinds.detectors.assignments import draw_assignment
from sightline.kinds.kind import Setting
from sightline.kinds.opening import complete
from sightline.kinds.pretrained import open_run_or_model
from sightline.kinds.regions import enlarged_image
from sightline.layers.boxes.dynamic_assignment import Assignment, Objects, Predicted, simota, soft_assignment
from sightline.layers.boxes.places import decode_places, encode_places, places
from sightline.models.boxes.single_shot.yolox import YOLOX
from sightline.models.create import create_model, outline
from sightline.preprocessing.geometry import Geometry
from sightline.preprocessing.normalise import Normalise, Normalised
from sightline.preprocessing.saved import Preprocessing
from sightline.randomness.keyed import torch_seeded, uniform
from sightline.recipes.augmenting import build_augment
from sightline.recipes.defaults import Traits
from sightline.recipes.reading import make_draft
from sightline.runs.console import Console
from sightline.runs.run import Run
from sightline.structures.batch import Batch
from sightline.structures.targets import Boxes
from sightline.tasks.regions import boxes_of
from sightline.tasks.single_shot import SingleShot, assigned
from sightline.training.pictures import write_assignment

from .test_detection_task import batch_of, judged

torch.set_num_threads(1)
# millions of parameters with 80 classes (arXiv:2107.08430, tables 3 and 5); width and depth factors of Megvii's code
PUBLISHED = {"nano": 0.91, "tiny": 5.06, "s": 9.0, "m": 25.3, "l": 54.2, "x": 99.1}


@pytest.mark.parametrize("variant", PUBLISHED)
def test_published_counts(variant: str) -> None:
    network = outline(f"yolox_{variant}")
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    assert millions == pytest.approx(
        PUBLISHED[variant], abs=0.05 if variant == "s" else 0.05 if millions > 10 else 5e-3
    )


def test_names_and_shapes_are_the_published_ones() -> None:
    """A few of each part of the state dict of yolox_s.pth, and of the depthwise nano."""
    small = {name: tuple(x.shape) for name, x in outline("yolox_s").state_dict().items()}
    expected = {
        "backbone.backbone.stem.conv.conv.weight": (32, 12, 3, 3),
        "backbone.backbone.dark3.1.m.2.conv2.conv.weight": (64, 64, 3, 3),
        "backbone.backbone.dark5.1.conv2.conv.weight": (512, 1024, 1, 1),
        "backbone.lateral_conv0.bn.running_mean": (256,),
        "backbone.C3_p4.conv3.conv.weight": (256, 256, 1, 1),
        "backbone.reduce_conv1.conv.weight": (128, 256, 1, 1),
        "backbone.bu_conv2.conv.weight": (128, 128, 3, 3),
        "backbone.C3_n4.m.0.conv1.conv.weight": (256, 256, 1, 1),
        "head.stems.2.conv.weight": (128, 512, 1, 1),
        "head.cls_convs.0.1.conv.weight": (128, 128, 3, 3),
        "head.cls_preds.1.weight": (80, 128, 1, 1),
        "head.reg_preds.1.bias": (4,),
        "head.obj_preds.2.weight": (1, 128, 1, 1),
    }
    assert {name: small.get(name) for name in expected} == expected
    nano = outline("yolox_nano").state_dict()
    assert tuple(nano["backbone.backbone.dark2.0.dconv.conv.weight"].shape) == (16, 1, 3, 3)
    assert tuple(nano["head.cls_convs.0.0.pconv.conv.weight"].shape) == (64, 64, 1, 1)


def test_weights_of_another_file_load_strictly(tmp_path) -> None:
    """A checkpoint as Megvii's code saves it, {"model": state}, with random values: every tensor arrives."""
    source = create_model("yolox_nano", seed=1, num_classes=2)
    stem = "backbone.backbone.stem.conv.conv.weight"
    for x in source.state_dict().values():
        if x.is_floating_point():
            x.uniform_(0.5, 1.5)
    torch.save({"start_epoch": 300, "model": source.state_dict()}, tmp_path / "nano.pth")
    loaded = create_model("yolox_nano", num_classes=2, weights=tmp_path / "nano.pth")
    ours, theirs = loaded.state_dict(), source.state_dict()
    assert all(torch.equal(x, ours[name]) for name, x in theirs.items() if name != stem)
    # that code reads blue, green, red: four pixels of three colours
    assert torch.equal(ours[stem].view(16, 4, 3, 3, 3).flip(2).flatten(1, 2), theirs[stem])
    with pytest.raises(UsageError, match=r"is not of yolox_tiny|here"):
        create_model("yolox_tiny", num_classes=2, weights=tmp_path / "nano.pth")


def test_places_and_boxes() -> None:
    """The example of the module, and there and back."""
    cell, stride = places([(4, 6), (2, 3)], (8, 16))
    assert cell.shape == (30, 2) and stride[24] == 16
    box = decode_places(torch.tensor([[0.5, 0.5, 0.0, math.log(2)]]), cell[3:4], stride[3:4])
    assert box[0].tolist() == pytest.approx([24, -4, 32, 12])
    shift = torch.linspace(-1, 1, 120).view(30, 4)
    assert torch.allclose(encode_places(decode_places(shift, cell, stride), cell, stride), shift, atol=1e-5)


PUBLISHED_FILE = Path(os.environ.get("SIGHTLINE_DATA", ""), "weights", "yolox_nano", "yolox_nano.onnx")
needs_file = pytest.mark.skipif(not PUBLISHED_FILE.is_file(), reason=f"{PUBLISHED_FILE} is not there")


@needs_file
def test_the_published_file_answers_as_its_own_graph() -> None:
    """Read into `yolox_nano`: the same as onnxruntime on real photographs. Scores within 0.0001; shifts within 0.0001 of their
    largest: onnxruntime itself lies that far from the same network in float64."""
    runtime = pytest.importorskip("onnxruntime")
    network = create_model("yolox_nano", weights=PUBLISHED_FILE).eval()
    assert network.origin.record()["preprocessing"]["mean"] == (0, 0, 0)
    session, frame = runtime.InferenceSession(PUBLISHED_FILE), Geometry(416, 416, "corner", pad=114)
    for path in sorted((PUBLISHED_FILE.parents[2] / "photos").glob("*.JPEG"))[:4]:
        pixels, _ = frame.apply(np.array(Image.open(path).convert("RGB")))
        image = pixels.transpose(2, 0, 1)[None].astype(np.float32)
        theirs = torch.from_numpy(session.run(None, {"images": image[:, ::-1].copy()})[0])  # blue, green, red
        with torch.no_grad():
            ours = network(torch.from_numpy(image))
        scores = torch.cat((ours.objectness.sigmoid()[..., None], ours.classes.sigmoid()), -1)
        assert (scores - theirs[..., 4:]).abs().max() <= 1e-4
        assert scores.max() > 0.1  # something is found
        shifts = theirs[..., :4]
        assert (ours.shift - shifts).abs().max() <= 1e-4 * shifts.abs().max()


@needs_file
def test_the_published_file_predicts_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named by its file or by the network: eighty classes, and the preprocessing of its record."""
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path))
    run = open_run_or_model(PUBLISHED_FILE)
    assert len(run.classes) == 80 and run.classes[22] == "zebra"
    geometry = run.preprocessing.geometry
    assert (geometry.height, geometry.width, geometry.fit, geometry.pad) == (416, 416, "corner", 114)
    assert run.preprocessing.mean == (0.0, 0.0, 0.0) and run.preprocessing.std == pytest.approx((1.0,) * 3)
    monkeypatch.setenv("SIGHTLINE_DATA", str(PUBLISHED_FILE.parents[2]))
    assert open_run_or_model("yolox_nano").folder == run.folder
    photo = next((PUBLISHED_FILE.parents[2] / "photos").glob("*zebra*"))
    row = sightline.predict(run, photo, console=Console(level=-2)).rows[0]
    assert [box["label"] for box in row["boxes"]] == ["zebra"]


@needs_file
def test_another_network_or_a_cut_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"113 convolutions, and the network \d+"):
        create_model("yolox_tiny", weights=PUBLISHED_FILE)
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(PUBLISHED_FILE.read_bytes()[:100_000])
    with pytest.raises(DamagedError, match="is not an ONNX file"):
        create_model("yolox_nano", weights=cut)


# --- assignment -------------------------------------------------------------------------------------------------------


def scene(number: int) -> tuple[Predicted, Objects, Tensor, Tensor]:
    """Answers of a half-trained network on 96 x 128 pixels, near the truth at many places, and up to seven objects; scene 0 has
    none, every seventh a tiny one, every fifth two alike."""
    cell, stride = places([(12, 16), (6, 8), (3, 4)], (8, 16, 32))
    n, t, k = len(cell), number % 8, 3
    draw = uniform(number, "scene", torch.arange(t * 5 + n * (4 + k)))
    corner, rest = draw[: t * 4].view(t, 4), draw[t * 4 :]
    size = 6 + corner[:, 2:] * 60
    low = corner[:, :2] * (torch.tensor([128.0, 96.0]) - size)
    boxes = torch.cat((low, low + size), 1)
    if t and number % 7 == 0:
        boxes[0, 2:] = boxes[0, :2] + 3
    if t > 1 and number % 5 == 0:
        boxes[1] = boxes[0] + 1
    label = (rest[:t] * k).long()
    noise, score = rest[t : t + n * 4].view(n, 4), rest[t + n * 4 :].view(n, k)
    predicted = decode_places(torch.cat((noise[:, :2], noise[:, 2:] * 3 - 1), 1), cell, stride)
    if t:
        own = boxes[torch.arange(n) % t] + (noise - 0.5) * 16
        predicted = torch.where((torch.arange(n) % 3 == 0)[:, None], own, predicted)
    return (
        Predicted(predicted, score.clamp(1e-4, 1 - 1e-4)),
        Objects(boxes, label),
        (cell + 0.5) * stride[:, None],
        stride,
    )


def slow_iou(a: list[float], b: list[float]) -> float:
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(wide, 0.0) * max(high, 0.0)
    union = sum(max(x[2] - x[0], 0) * max(x[3] - x[1], 0) for x in (a, b)) - shared
    return shared / union if union > 0 else 0.0


def slow_costs(rule: str, scene_: tuple[Predicted, Objects, Tensor, Tensor]) -> list[dict[int, tuple[float, float]]]:
    """For each object: candidate place → (cost, IoU), place by place in plain Python."""
    (boxes, scores), (truth, label), centre, stride = (
        [x.tolist() for x in part] if isinstance(part, tuple) else part.tolist() for part in scene_
    )
    table = []
    for box, own in zip(truth, label, strict=True):
        middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        inside, near = [], []
        for (x, y), s in zip(centre, stride, strict=True):
            inside.append(box[0] < x < box[2] and box[1] < y < box[3])
            near.append(abs(x - middle[0]) < 2.5 * s and abs(y - middle[1]) < 2.5 * s)
        table.append((box, own, middle, inside, near))
    anyone = [any(row[3][p] or (rule == "simota" and row[4][p]) for row in table) for p in range(len(centre))]
    result = []
    for box, own, middle, inside, near in table:
        costs = {}
        for p in range(len(centre)):
            if not anyone[p] or (rule == "soft" and not inside[p]):
                continue
            overlap = slow_iou(box, boxes[p])
            if rule == "simota":
                cost = sum(-math.log(math.sqrt(q) if c == own else 1 - math.sqrt(q)) for c, q in enumerate(scores[p]))
                cost += 0.0 if inside[p] and near[p] else 100_000.0
            else:
                cost = 0.0
                for c, q in enumerate(scores[p]):
                    y = overlap if c == own else 0.0
                    cost += -(y * math.log(q) + (1 - y) * math.log(1 - q)) * (y - q) ** 2
                away = math.hypot(centre[p][0] - middle[0], centre[p][1] - middle[1]) / stride[p]
                cost += 10 ** (away - 3)
            costs[p] = cost - 3 * math.log(overlap + 1e-8), overlap
        result.append(costs)
    return result


def slow_assignment(rule: str, scene_: tuple[Predicted, Objects, Tensor, Tensor]) -> dict[int, int]:
    """Place → object: the cheapest places of each object, then each contested place to the object that it costs least."""
    wanted: dict[int, list[int]] = {}
    table = slow_costs(rule, scene_)
    for t, costs in enumerate(table):
        best = sorted((overlap for _, overlap in costs.values()), reverse=True)[: 10 if rule == "simota" else 13]
        number = max(int(sum(best)), 1)
        for p in sorted(costs, key=lambda p: (costs[p][0], p))[:number]:
            wanted.setdefault(p, []).append(t)
    return {
        p: ts[0] if len(ts) == 1 else min((t for t in range(len(table)) if p in table[t]), key=lambda t: table[t][p][0])
        for p, ts in wanted.items()
    }


@pytest.mark.parametrize("rule", ["simota", "soft"])
def test_assignment_equals_a_slow_one(rule: str) -> None:
    """On fifty random images: the same places, objects and IoUs as a loop over objects and places."""
    fast = {"simota": simota, "soft": soft_assignment}[rule]
    total, contested = 0, 0
    for number in range(50):
        one = scene(number)
        found: Assignment = fast(*one)
        expected = slow_assignment(rule, one)
        assert dict(zip(found.place.tolist(), found.truth.tolist(), strict=True)) == expected, number
        assert found.place.tolist() == sorted(expected)
        for p, t, overlap in zip(*(x.tolist() for x in found), strict=True):
            assert overlap == pytest.approx(slow_iou(one[1].boxes[t].tolist(), one[0].boxes[p].tolist()), abs=1e-5)
        total += len(expected)
        contested += len(one[1].label) > 1
    assert total > 400 and contested > 30


def test_every_object_of_simota_is_learned_unless_another_takes_its_place() -> None:
    """A tiny object between the centres of places is a candidate by its surroundings; soft assignment knows no such places."""
    predicted, _, centre, stride = scene(1)
    tiny = Objects(torch.tensor([[16.5, 16.5, 17.5, 17.5]]), torch.tensor([1]))
    assert len(simota(predicted, tiny, centre, stride).place) >= 1
    assert len(soft_assignment(predicted, tiny, centre, stride).place) == 0


# --- the task ---------------------------------------------------------------------------------------------------------


def network(classes: int = 2) -> Normalised:
    with torch_seeded(0, "initialise"):
        small = YOLOX(num_classes=classes, depth=0.33, width=0.125)
    return Normalised(Normalise([127.0] * 3, [60.0] * 3), small)


def test_learns() -> None:
    """Eighty steps of four images: what it finds on others is right, and of the right class."""
    task = SingleShot(network(), classes=2)
    optimizer, losses = torch.optim.AdamW(task.parameters(), lr=4e-3, weight_decay=1e-3), []
    task.train()
    for step in range(80):
        optimizer.param_groups[0]["lr"] = 4e-3 * min(1.0, (step + 1) / 10) * (0.1 if step > 64 else 1.0)
        loss = task.loss(batch_of(list(range(4 * step, 4 * step + 4)))).total
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(task.parameters(), 10.0)
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])
    assert judged(task)["ap50"] > 0.5


def parts_of(whole: Batch) -> list[Batch]:
    target = whole.target
    assert isinstance(target, Boxes)
    fields = (whole.image, whole.size, whole.frame, whole.natural, whole.id, whole.position)
    parts = []
    for i in range(len(whole)):
        mine = target.take(target.sample == i)
        mine = Boxes(mine.boxes, mine.label, torch.zeros_like(mine.sample), mine.ignore)
        parts.append(Batch.of_images(*(f[i : i + 1] for f in fields), mine))
    return parts


def test_parts_of_a_batch_add_up() -> None:
    """Σ w L / Σ w over single images is the loss of the batch, an image without objects among them; so are all its parts."""
    task = SingleShot(network(), classes=2, shift=1.0).eval()  # batch statistics would couple the images
    whole = batch_of([1, 2, 3, 4])
    target = whole.target
    assert isinstance(target, Boxes)
    target = target.take(target.sample != 2)
    whole = Batch.of_images(whole.image, whole.size, whole.frame, whole.natural, whole.id, whole.position, target)
    with torch.no_grad():
        loss = task.loss(whole)
        parts = [task.loss(one) for one in parts_of(whole)]
    weight = torch.stack([p.weight for p in parts])
    assert weight.sum() == loss.weight and weight[2] == 1
    assert (torch.stack([p.total for p in parts]) * weight).sum() / loss.weight == pytest.approx(
        loss.total.item(), rel=1e-5
    )
    for name, value in loss.parts.items():
        mean = (torch.stack([torch.as_tensor(p.parts[name]) for p in parts]) * weight).sum() / loss.weight
        assert mean == pytest.approx(value.item(), rel=1e-5, abs=1e-7), name
    assert parts[2].parts["boxes"] == parts[2].parts["class"] == 0
    assert parts[2].parts["objectness"] > 0


def test_shifts_are_learned_in_the_closing_part() -> None:
    """The L1 loss counts for the samples from its position on and for no others, and no other loss changes."""
    whole = replace(batch_of([1, 2, 3, 4]), position=torch.arange(4))
    task = SingleShot(network(), classes=2, shift=1.0).eval()
    losses = []
    for task.closing in (0, 2, 4):
        with torch.no_grad():
            losses.append(task.loss(whole))
    always, some, never = losses
    assert never.parts["shift"] == 0 < some.parts["shift"] < always.parts["shift"]
    for name in ("boxes", "objectness", "class"):
        assert never.parts[name] == some.parts[name] == always.parts[name]
    assert always.total == pytest.approx((never.total + always.parts["shift"]).item(), rel=1e-5)


@pytest.mark.parametrize(("augment", "closing"), [({}, 85), ({"mosaic": 0.5}, 85), ({"mosaic": 0.5, "close": 0.4}, 60)])
def test_the_closing_part_is_that_of_the_mosaics(augment: dict[str, float], closing: int) -> None:
    """The last 15 % of the steps, or what `augment.close` says, which is also where mosaics end."""
    draft = make_draft({"task": {"kind": "detection"}, "model": {"name": "yolox_nano"}, "augment": augment})
    recipe = complete(draft, KINDS["detection"], Traits(100, 64, 64, False, True, 2, "boxes"))
    preprocessing = Preprocessing(Geometry(64, 64, "letterbox"), (120.0,) * 3, (60.0,) * 3)
    setting = Setting(recipe, preprocessing, np.ones(2), steps=100)
    task = KINDS["detection"].task({"model": outline("yolox_nano", num_classes=2)}, setting)
    assert isinstance(task, SingleShot)
    assert (task.shift, task.closing) == (1.0, closing * recipe.fit.batch)
    if augment:
        assert build_augment(recipe, 100).closed == task.closing


def test_the_picture_of_the_assignment_shows_it() -> None:
    """At each of the finest places that learn an object, the object's colour; elsewhere nothing of the picture changes."""
    task, batch = SingleShot(network(), classes=2).eval(), batch_of([1, 2])
    learned = draw_assignment(task, batch)
    with torch.no_grad():
        outputs = task.model(batch.image, batch.size)
        expected = assigned(outputs, boxes_of(batch), task.assign)
    assert len(learned.pictures) == 2 and "8, 16 or 32" in learned.meaning
    of = boxes_of(batch).sample
    for row, picture in enumerate(learned.pictures):
        factor, first = picture.shape[0] // batch.image.shape[2], int((of < row).sum())
        mine = expected.image == row
        fine = outputs.stride[expected.place] == outputs.stride[expected.place[mine]].min()
        for place, truth in zip(
            expected.place[mine & fine].tolist(), expected.truth[mine & fine].tolist(), strict=True
        ):
            x, y = (outputs.centre[place] * factor).int().tolist()
            assert tuple(picture[y, x]) == object_colour(truth - first)
        plain = enlarged_image(batch, row)[0]
        assert 0.005 < (picture != plain).any(2).mean() < 0.5


def test_a_training_writes_the_picture_of_its_assignment(tmp_path: Path) -> None:
    """Of the networks as a training has them: wrapped for their device."""
    task, batch = SingleShot(network(), classes=2), batch_of([1, 2, 3])
    set_up(make_fabric("cpu", "fp32"), task, {})
    (tmp_path / "samples").mkdir()
    records = [SimpleNamespace(name=f"{i}.png") for i in range(9)]
    training = SimpleNamespace(
        kind=KINDS["detection"], images={"train": Three(batch)}, task=task, device="cpu", run=Run(tmp_path),
        data=SimpleNamespace(records=records),
    )  # fmt: skip
    write_assignment(training)  # type: ignore[arg-type]
    assert np.asarray(Image.open(tmp_path / "samples" / "assignment.png")).shape[2] == 3
    assert Run(tmp_path).read_json("samples/assignment.json")["names"] == ["1.png", "2.png", "3.png"]


class Three:
    """Three images that are already there."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def __len__(self) -> int:
        return 3

    def __call__(self, places: Tensor, positions: Tensor) -> Batch:
        assert places.tolist() == positions.tolist() == [0, 1, 2]
        return self.batch


def test_places_in_an_ignored_region_are_no_background() -> None:
    task = SingleShot(network(), classes=2).eval()
    batch = batch_of([1, 2])
    target = batch.target
    assert isinstance(target, Boxes)
    crowd = Boxes(
        torch.cat((target.boxes, torch.tensor([[0.0, 0, 96, 96]]))),
        torch.cat((target.label, torch.tensor([0]))),
        torch.cat((target.sample, torch.tensor([1]))),
        torch.cat((target.ignore, torch.tensor([True]))),
    )
    with torch.no_grad():
        outputs = task.model(batch.image, batch.size)
    learned_ = assigned(outputs, crowd, task.assign)
    assert not learned_.ignored[0].any()
    assert bool((learned_.ignored[1] ^ learned_.positive[1]).all())
    assert learned_.positive[1].any()


def test_nothing_to_find_and_nothing_found() -> None:
    """Without objects the background is learned, with finite gradients; a network that finds nothing has rows."""
    task = SingleShot(network(), classes=2)
    batch = batch_of([1, 2])
    none = Boxes(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long))
    fields = (batch.image, batch.size, batch.frame, batch.natural, batch.id, batch.position)
    loss = task.loss(Batch.of_images(*fields, none))
    loss.total.backward()
    assert loss.weight == 2 and loss.total > 0
    assert all(torch.isfinite(p.grad).all() for p in task.parameters() if p.grad is not None)
    with torch.no_grad():
        rows = task.eval().rows(batch, task.predict(batch))
    assert len(rows.score) == 0 and len(rows.true_label) == 3
    assert task.metrics(rows)["ap50"] == 0
