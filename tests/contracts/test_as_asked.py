"""What a recipe says is what happens: rates, orders, weights of classes, decay, averages, by values from torch or by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, ReduceLROnPlateau, StepLR

from sightline.data.dataset import build_dataset
from sightline.engine.ema import Ema
from sightline.engine.state import Meter, State, weighted
from sightline.errors import UsageError
from sightline.kinds.catalogue import KINDS
from sightline.kinds.kind import Setting
from sightline.kinds.opening import check_recipe
from sightline.preprocessing.geometry import Geometry
from sightline.preprocessing.saved import Preprocessing
from sightline.recipes.assembly import build_optimizers, build_order, build_schedule
from sightline.recipes.defaults import Traits
from sightline.recipes.loading import Reader, memory_needed
from sightline.recipes.reading import make_draft
from sightline.structures.batch import Batch
from sightline.structures.targets import Labels
from sightline.tasks.classification import Classification
from sightline.verbs.train import train
from tests.asking import called, folder, refused
from tests.complete_recipes import completed, recipe_of
from tests.tiny_annotated import annotation, coco, picture, write_json

STEPS, PER_EPOCH = 200, 12.5  # sixteen epochs, none of whole steps
PREPROCESSING = Preprocessing(Geometry(32, 32, "stretch"), (0.0,) * 3, (1.0,) * 3)


def rates(**schedule: Any) -> list[float]:
    factor = build_schedule(recipe_of({"schedule": schedule}), STEPS, PER_EPOCH)
    return [factor(State(step=step)) for step in range(STEPS)]


def of_torch(scheduler: Any, **options: Any) -> list[float]:
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    follow, found = scheduler(optimizer, **options), []
    for _ in range(STEPS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        follow.step()
    return found


# ------------------------------------------------------------------------------------------------ rates
@pytest.mark.parametrize(
    ("schedule", "scheduler", "options"),
    [
        ({"name": "cosine"}, CosineAnnealingLR, {"T_max": STEPS}),
        ({"name": "cosine", "floor": 0.2}, CosineAnnealingLR, {"T_max": STEPS, "eta_min": 0.2}),
        ({"name": "step", "every": 4, "factor": 0.5}, StepLR, {"step_size": 50, "gamma": 0.5}),
        ({"name": "exponential", "rate": 0.3}, ExponentialLR, {"gamma": math.exp(-0.3 / PER_EPOCH)}),
    ],
)
def test_a_schedule_is_torchs(schedule: dict[str, Any], scheduler: Any, options: dict[str, Any]) -> None:
    assert rates(**schedule) == pytest.approx(of_torch(scheduler, **options), rel=0, abs=1e-9)


def test_schedules_by_their_formulas() -> None:
    assert rates(name="constant") == [1.0] * STEPS
    assert rates(name="inverse_time", rate=0.5)[100] == pytest.approx(1 / (1 + 0.5 * 100 / PER_EPOCH))
    cycle = rates(name="one_cycle", rise=0.25, floor=0.1)
    assert cycle[0] == pytest.approx(0.04)
    assert cycle[25] == pytest.approx((0.04 + 1) / 2)  # half the way up a cosine
    assert cycle[50] == max(cycle) == 1.0
    assert cycle[125] == pytest.approx((1 + 0.1) / 2)  # half the way down
    assert cycle[-1] == pytest.approx(0.1, abs=1e-3)
    assert cycle[:51] == sorted(cycle[:51])
    assert cycle[50:] == sorted(cycle[50:], reverse=True)


@pytest.mark.parametrize("name", ["constant", "cosine", "one_cycle", "step"])
def test_a_warm_up_climbs_linearly_below_the_schedule(name: str) -> None:
    plain, warm = rates(name=name), rates(name=name, warmup=0.1)
    assert warm[:20] == pytest.approx([rate * (step + 1) / 20 for step, rate in enumerate(plain[:20])])
    assert warm[20:] == plain[20:]


@pytest.mark.parametrize("seed", range(5))
def test_a_plateau_drops_the_rate_as_torchs_does(seed: int) -> None:
    losses = np.random.default_rng(seed).uniform(0.5, 1.0, 30).round(2).tolist()
    recipe = recipe_of({"schedule": {"name": "plateau", "factor": 0.5, "patience": 2}})
    factor = build_schedule(recipe, STEPS, PER_EPOCH)
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    follow = ReduceLROnPlateau(optimizer, factor=0.5, patience=2)
    state, found = State(), []
    for loss in losses:
        follow.step(loss)
        state.history.append({"val_loss": loss})
        found.append(factor(state))
        assert found[-1] == pytest.approx(optimizer.param_groups[0]["lr"])
    assert found[-1] < 1


# ------------------------------------------------------------------------------------------------ classes
@pytest.mark.parametrize("kind", ["classification", "segmentation"])
def test_balanced_classes_weigh_what_the_rule_says(kind: str) -> None:
    """n / (classes · n of the class): all of them together weigh n, each alike."""
    amounts = np.array([900, 90, 10])

    def weights(**keys: str) -> torch.Tensor | None:
        setting = Setting(recipe_of({"task": {"kind": kind, **keys}}), PREPROCESSING, amounts)
        return KINDS[kind].task({"model": nn.Identity()}, setting).class_weight  # type: ignore[return-value]

    weight = weights(class_weight="balanced")
    assert weight is not None
    assert weight.double().numpy() * amounts == pytest.approx([1000 / 3] * 3)
    assert weights() is None


class ByNumber(nn.Module):
    """The first pixel of an image, as a number."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image[:, 0, 0, 0].long()


@pytest.mark.parametrize("asked", [{}, {"loss": "hinge"}, {"label_smoothing": 0.2}])
def test_what_is_told_counts_each_image_once_whatever_classes_weigh(asked: dict[str, Any]) -> None:
    generator = torch.Generator().manual_seed(0)
    index = torch.tensor([0] * 27 + [1, 1, 0, 1, 1])
    scores, meter = torch.randn(32, 2, generator=generator), Meter()
    for part in torch.arange(32).split(8):
        looked_up = nn.Sequential(ByNumber(), nn.Embedding.from_pretrained(scores))
        task = Classification(looked_up, class_weight=torch.tensor([0.2, 5.0]), **asked)
        b = len(part)
        frame, size = torch.eye(3).expand(b, 3, 3), torch.ones(b, 2, dtype=torch.int64)
        batch = Batch.of_images(part.byte()[:, None, None, None], size, frame, size, part, part, Labels.of(index[part]))
        loss = task.loss(batch)
        meter.add(weighted(loss.parts, loss.weight))
    means = meter.means()
    assert means["loss"] == pytest.approx(F.cross_entropy(scores, index).item(), rel=1e-6)
    assert means["accuracy"] == pytest.approx((scores.argmax(1) == index).float().mean().item(), rel=1e-6)


def test_balanced_samples_draw_every_class_equally_often() -> None:
    index = np.array([0] * 900 + [1] * 90 + [2] * 10 + [-1] * 50)  # 50 of no known class
    order = build_order(recipe_of({"data": {"balance": "sample"}}), index, np.array([900, 90, 10]))
    drawn = index[torch.cat([order(0, epoch) for epoch in range(10)]).numpy()]
    counts = np.bincount(drawn, minlength=3)
    assert (drawn >= 0).all()
    assert np.abs(counts - len(drawn) / 3).max() < 4 * math.sqrt(len(drawn) * 2 / 9)
    plain = build_order(recipe_of({}), index, np.array([900, 90, 10]))
    assert sorted(plain(0, 3).tolist()) == list(range(len(index)))
    assert plain(0, 3).tolist() != plain(0, 4).tolist() != list(range(len(index)))


# ------------------------------------------------------------------------------------------------ weights
def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 2))


@pytest.mark.parametrize("decay_all", [True, False])
@pytest.mark.parametrize("name", ["sgd", "adamw", "adam", "rmsprop", "adagrad", "adadelta"])
def test_the_decay_falls_on_what_it_should(name: str, decay_all: bool) -> None:
    asked = {"name": name, "lr": 0.1, "weight_decay": 0.01, "decay_all": decay_all}
    model = network()
    (optimizer,) = build_optimizers(recipe_of({"optim": asked}), Classification(model)).values()
    decayed = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    spared = 0.01 if decay_all else 0.0
    want = {
        "0.weight": 0.01,
        "0.bias": spared,
        "1.weight": spared,
        "1.bias": spared,
        "3.weight": 0.01,
        "3.bias": spared,
    }
    assert {n: decayed[id(p)] for n, p in model.named_parameters()} == want
    assert {group["lr"] for group in optimizer.param_groups} == {0.1}


def test_momentum_and_nesterov_reach_torch() -> None:
    asked = {"name": "sgd", "lr": 0.1, "momentum": 0.8, "nesterov": True}
    (optimizer,) = build_optimizers(recipe_of({"optim": asked}), Classification(network())).values()
    assert (optimizer.param_groups[0]["momentum"], optimizer.param_groups[0]["nesterov"]) == (0.8, True)


def test_an_average_forgets_its_start_and_then_keeps_its_decay() -> None:
    """a ← d·a + (1 - d)·w with d = min(decay, (1 + step) / (10 + step))."""
    model = nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, 5.0)
    ema, by_hand = Ema(model, 0.9), 5.0
    for step in range(200):
        with torch.no_grad():
            model.weight.fill_(math.sin(step))
        ema.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        by_hand = decay * by_hand + (1 - decay) * math.sin(step)
        assert ema.tensors()["weight"].item() == pytest.approx(by_hand, abs=1e-5)
    assert decay == 0.9


def test_gradients_are_clipped_at_the_norm_that_is_asked_for(tmp_path: Path) -> None:
    """One step of plain descent of rate 1 moves all weights together by the norm of its gradient, or by what it may be."""
    data = folder(tmp_path / "photos", {"cat": 20, "dog": 20})
    keys = {
        "optim.name": "sgd", "optim.lr": 1.0, "optim.momentum": 0, "optim.nesterov": False, "optim.weight_decay": 0,
        "schedule.name": "constant", "fit.batch": 64, "fit.epochs": 1, "fit.threads": 1, "augment.preset": "none",
    }  # fmt: skip
    moved = {}
    for clip in (None, 0, 1e-3):
        out = tmp_path / f"run-{clip}"
        run = train(data, keys | ({} if clip is None else {"fit.clip": clip}), model="linear", out=out)
        before = KINDS["classification"].networks(run.recipe, 2)["model"].state_dict()
        after = load_file(out / "model" / "model.safetensors")
        names = {name: next(n for n in after if n.endswith(name)) for name in before}
        moved[clip] = torch.cat([(after[names[n]] - before[n]).flatten() for n in before]).norm().item()
        assert run.status["step"] == 1
    assert moved[None] == moved[0] > 0.01
    assert moved[1e-3] == pytest.approx(1e-3, rel=1e-3)


# ------------------------------------------------------------------------------------------------ what has no effect is refused
@pytest.mark.parametrize("kind", ["detection", "instances"])
@pytest.mark.parametrize("keys", [{"fit": {"monitor": "loss"}}, {"schedule": {"name": "plateau"}}])
def test_nothing_follows_a_loss_that_no_validation_measures(kind: str, keys: dict[str, Any]) -> None:
    traits = Traits(50, 64, 64, grey=False, one_aspect=True, classes=2, knows="outlines")
    with pytest.raises(UsageError, match=r"monitor=loss is not a metric|plateau follows the validation loss"):
        check_recipe(completed(make_draft({"task": {"kind": kind}, **keys}), traits), KINDS[kind])
    check_recipe(completed(make_draft({"task": {"kind": kind}}), traits), KINDS[kind])


@pytest.mark.parametrize(
    ("asked", "shape"),
    [({}, (192, 256)), ({"width": 64}, (64, 64)), ({"width": 128}, (96, 128)), ({"size": 64}, (64, 64))],
)
def test_a_width_alone_keeps_the_images_shape(asked: dict[str, int], shape: tuple[int, int]) -> None:
    traits = Traits(300, 360, 480, grey=False, one_aspect=True, classes=2, knows="masks")
    found = completed(make_draft({"input": asked}), traits).input
    assert (found.size, found.width) == shape


def test_clipping_is_by_rule_by_number_or_off() -> None:
    traits = Traits(300, 64, 64, grey=False, one_aspect=True, classes=2, knows="masks")
    assert [completed(make_draft({"fit": {"clip": c}}), traits).fit.clip for c in (None, 0, 2.5)] == [10.0, 0.0, 2.5]


def test_a_run_is_no_data_and_what_cannot_be_is_said_before_data_are_read(tmp_path: Path) -> None:
    data = folder(tmp_path / "photos", {"cat": 20, "dog": 20})
    train(data, {"fit.epochs": 1, "fit.threads": 1}, model="linear", out=tmp_path / "run")
    assert "is a run, not data" in refused(2, "train", str(tmp_path / "run"))
    for wrong in (["-m", "resnet19"], ["-m", "mlp", "model.options.zap=1"], ["--out", str(tmp_path / "run")]):
        code, _, stderr = called("train", str(tmp_path / "photos"), *wrong)
        assert (code, "found" in stderr) == (2, False)  # nothing was said of data


def test_memory_is_estimated_with_what_judging_keeps(tmp_path: Path) -> None:
    """Masks in the original frame, large beside a small input: of pixels one byte, of objects one each."""
    images = [{"id": i, "file_name": f"{i}.png", "height": 300, "width": 400} for i in (1, 2)]
    for i in (1, 2):
        picture(tmp_path / "images" / f"{i}.png", i, 300, 400)
    square = [[2.0, 3.0, 80.0, 3.0, 80.0, 90.0, 2.0, 90.0]]
    objects = [annotation(i, 1 + i % 2, bbox=(2, 3, 78, 87), segmentation=square, area=1) for i in range(1, 21)]
    write_json(tmp_path / "all.json", coco(images, objects))
    data = build_dataset(str(tmp_path), needs="images")
    ids, truths = data.ids(), KINDS["instances"].truths
    for judging in (True, False):
        held = [Reader(data, PREPROCESSING, truths, judging)(int(i)).target for i in ids]
        tensors = [t for target in held for t in (target.mask, *target.natural)]  # type: ignore[union-attr]
        wanted = sum(t.numel() * t.element_size() for t in tensors) + 2 * 3 * 32 * 32
        assert memory_needed(data, ids, PREPROCESSING, truths, judging=judging) == wanted
