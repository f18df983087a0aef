"""Mixup, CutMix and Cutout of classes: labels have the shares of the pixels, and everything hears of them."""

from __future__ import annotations

import json
import os
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import betainc
from scipy.stats import kstest
from torch import nn

import sightline.training.pace as pace
from sightline.augmentation.composites.composite import Augmentation
from sightline.augmentation.composites.cutmix import CutMix
from sightline.augmentation.composites.mixup import Mixup
from sightline.augmentation.composites.shares import beta
from sightline.augmentation.moves import Flip, Shift
from sightline.augmentation.pipeline import Pipeline
from sightline.augmentation.values import Cutout
from sightline.data.loaders import Memory
from sightline.data.orders import shuffle
from sightline.data.stream import Stream
from sightline.errors import Stopped, UsageError
from sightline.kinds.catalogue import KINDS
from sightline.randomness.keyed import uniform
from sightline.recipes.augmenting import check_augment
from sightline.recipes.section import DraftAugment
from sightline.structures.batch import Batch
from sightline.structures.targets import IGNORE, Labels, Masks
from sightline.tasks.classification import Classification
from sightline.verbs.train import train
from tests.asking import folder
from tests.augmented import batch_of

torch.set_num_threads(1)
SIDE, N, CLASSES = 16, 40, 5
INDEX = torch.where(torch.arange(N) % 8 == 7, -1, torch.arange(N) % CLASSES)  # some without a label


def value(i: int) -> int:
    """The colour of image i."""
    return 6 * i + 3


def images_of(index: torch.Tensor = INDEX) -> Memory:
    image = torch.tensor([value(i) for i in range(N)], dtype=torch.uint8)[:, None, None, None].expand(N, SIDE, SIDE, 3)
    size = torch.tensor([SIDE, SIDE]).expand(N, 2)
    return Memory(image.contiguous(), torch.eye(3).repeat(N, 1, 1), size, torch.arange(N), index)


def stream_of(plan: Augmentation, micro: int = 20, images: Memory | None = None) -> Stream:
    return Stream(images or images_of(), shuffle(N), N, micro, 0, invite=partial(plan.partners, seed=0))


def mixed(plan: Augmentation, k: int = 0) -> tuple[Batch, Batch, Labels]:
    batch = stream_of(plan).batch(k)
    out = plan(batch, 0)
    assert isinstance(out.target, Labels)
    return batch, out, out.target


def expected(batch: Batch, name: str, share: torch.Tensor) -> torch.Tensor:
    """Soft labels (b, k), if the samples keep these shares (b,) of themselves."""
    partners = batch.partners[name]
    soft = torch.zeros(len(batch), CLASSES)
    soft[torch.arange(len(batch)), INDEX[batch.id].clamp(min=0)] += share
    soft[partners.owner, INDEX[partners.batch.id].clamp(min=0)] += 1 - share[partners.owner]
    return soft


@pytest.mark.parametrize("alpha", [1.0, 0.2])
def test_mixup_mixes_labels_as_it_mixes_pixels(alpha: float) -> None:
    plan = Augmentation(composites=(Mixup(alpha=alpha, classes=CLASSES),))
    for k in range(4):
        batch, out, labels = mixed(plan, k)
        assert labels.soft is not None and torch.allclose(labels.soft.sum(1), torch.ones(len(batch)))
        partners = batch.partners["mixup/0"]
        known = (INDEX[batch.id] >= 0) & (INDEX[partners.batch.id] >= 0)
        own, other = batch.image[:, 0, 0, 0].float(), partners.batch.image[:, 0, 0, 0].float()
        share = plan.composites[0].draws(batch, partners.owner, 0, 1)[:, 0]
        share = torch.where(known, beta(share, alpha), 1.0)
        told = out.image[:, 0, 0, 0].float()
        assert ((share * own + (1 - share) * other - told).abs() <= 0.501).all()
        assert (out.image == out.image[:, :1, :1, :1]).all()
        assert torch.allclose(labels.soft[known], expected(batch, "mixup/0", share)[known])
        assert torch.equal(labels.known, INDEX[batch.id] >= 0)
        assert torch.equal(labels.index[labels.known], labels.soft.argmax(1)[labels.known])
        assert len(share.unique()) > 10


def test_cutmix_labels_are_the_areas() -> None:
    plan = Augmentation(composites=(CutMix(classes=CLASSES),))
    cut = []
    for k in range(4):
        batch, out, labels = mixed(plan, k)
        partners = batch.partners["cutmix/0"]
        known = (INDEX[batch.id] >= 0) & (INDEX[partners.batch.id] >= 0)
        foreign = (out.image != batch.image)[:, 0]  # (b, h, w); no two images have the same colour
        assert not foreign[~known].any()
        assert (out.image == torch.where(foreign[:, None], partners.batch.image, batch.image)).all()
        share = 1 - foreign.float().mean((1, 2))
        assert labels.soft is not None
        assert torch.allclose(labels.soft[labels.known], expected(batch, "cutmix/0", share)[labels.known], atol=1e-6)
        for plane in foreign[foreign.any(2).any(1)]:  # a rectangle
            assert plane.sum() == plane.any(0).sum() * plane.any(1).sum()
        cut += (1 - share[known]).tolist()
    assert len(set(cut)) > 30 and 0.2 < np.mean(cut) < 0.5  # less than a half, because edges cut some off


def test_a_sample_is_mixed_once_and_does_not_see_its_batch() -> None:
    both = (Mixup(0.4, classes=CLASSES), CutMix(0.4, start=0.4, classes=CLASSES))
    plan = Augmentation(Pipeline((Shift(2), Flip(), Cutout(0.4))), both, closed=70)

    def samples(micro: int, count: int) -> dict[int, tuple[bytes, bytes]]:
        found = {}
        for k in range(count):
            batch = stream_of(plan, micro).batch(k)
            names = {name: set(p.owner.tolist()) for name, p in batch.partners.items()}
            assert not names.get("mixup/0", set()) & names.get("cutmix/0", set())
            out = plan(batch, 0)
            assert isinstance(out.target, Labels)
            soft = out.target.soft
            if soft is None:
                soft = nn.functional.one_hot(out.target.index, CLASSES).float()
            for row, position in enumerate(out.position.tolist()):
                found[position] = (out.image[row].numpy().tobytes(), soft[row].numpy().tobytes())
        return found

    whole = samples(20, 4)
    assert whole == samples(8, 10)
    one = torch.frombuffer(bytearray(b"".join(soft for _, soft in whole.values())), dtype=torch.float32).view(
        -1, CLASSES
    )
    assert torch.allclose(one.sum(1), torch.ones(80))
    pure = (one.amax(1) == 1).tolist()
    assert all(pure[70:]) and 10 < sum(pure[:70]) < 50


@pytest.mark.parametrize("alpha", [0.2, 0.7, 1.0, 5.0])
def test_shares_follow_the_beta_distribution(alpha: float) -> None:
    draws = beta(uniform(0, "test", torch.arange(20_000)), alpha).double().numpy()
    whole = 0.02 if alpha < 0.5 else 0.012  # 32 bits do not tell the largest shares from 1
    assert kstest(draws, "beta", args=(alpha, alpha)).statistic < whole
    inner = draws[(draws > 0.01) & (draws < 0.99)]
    low, high = betainc(alpha, alpha, [0.01, 0.99])
    assert kstest((betainc(alpha, alpha, inner) - low) / (high - low), "uniform").statistic < 0.013
    assert draws.min() >= 0 and draws.max() <= 1


def test_cutout_hides_a_square_in_every_image() -> None:
    whole = torch.zeros(60, SIDE, SIDE, dtype=torch.long)
    pixels = torch.arange(SIDE * SIDE).view(1, 1, SIDE, SIDE).expand(60, 3, -1, -1).to(torch.uint8)
    size = torch.tensor([SIDE, SIDE]).expand(60, 2)
    eye, place = torch.eye(3).repeat(60, 1, 1), torch.arange(60)
    batch = Batch.of_images(pixels, size, eye, size, place, place, Masks(whole))
    out = Cutout(0.5)(batch, 0)
    assert isinstance(out.target, Masks)
    hidden = out.target.index == IGNORE
    assert (out.image[hidden[:, None].expand_as(out.image)] == 128).all()  # the mean, rounded
    assert torch.equal(out.image[~hidden[:, None].expand_as(out.image)], pixels[~hidden[:, None].expand_as(pixels)])
    sides = {(int(h.any(1).sum()), int(h.any(0).sum())) for h in hidden}
    assert (8, 8) in sides and all(4 <= side <= 8 for pair in sides for side in pair)
    assert len({h.numpy().tobytes() for h in hidden}) > 50
    assert Cutout(0.5)(batch_of([3, 4]), 0).image.shape == batch_of([3, 4]).image.shape


def test_loss_and_accuracy_of_mixed_labels() -> None:
    """Cross-entropy with the shares; right is the class with the largest."""
    scores = torch.tensor([[2.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 3.0]])
    soft = torch.tensor([[0.7, 0.3, 0.0], [0.6, 0.4, 0.0], [0.0, 0.0, 1.0]])
    batch = batch_of([1, 2, 3], target=Labels(soft.argmax(1), torch.tensor([True, True, True]), soft))

    class Fixed(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return scores

    loss = Classification(Fixed()).loss(batch)
    assert torch.allclose(loss.total, -(soft * scores.log_softmax(1)).sum(1).mean())
    accuracy, weight = loss.parts["accuracy"]
    assert (accuracy, weight) == (torch.tensor(2 / 3), 3)
    label = KINDS["classification"].drawings.label
    assert [label(batch.target, row, ["cat", "dog", "cow"]) for row in range(3)] == [
        "cat 0.70, dog 0.30",
        "cat 0.60, dog 0.40",
        "cow",
    ]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"augment.mosaic": 0.5},
            r"augment.mosaic makes no samples of classification.*augment.mixup or augment.cutmix",
        ),
        ({"augment.mixup": 0.6, "augment.cutmix": 0.6}, "shares of the same samples"),
        ({"augment.alpha": 0.2}, "augment.alpha has no effect"),
        ({"augment.close": 0.2}, "augment.close has no effect"),
        ({"augment.mixup": 0.5, "augment.mosaic_scale": [0.5, 1]}, "augment.mosaic_scale has no effect"),
        ({"augment.mixup": 1.5}, "augment.mixup"),
        ({"augment.cutmix": 0.5, "task.loss": "hinge"}, "hinge loss takes no mixed labels"),
    ],
)
def test_keys_that_do_nothing_are_refused(keys: dict[str, object], message: str, photos: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        train(photos, keys, model="resnet8", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_alpha_is_refused_where_mixup_has_boxes() -> None:
    with pytest.raises(UsageError, match=r"augment\.alpha"):
        check_augment(DraftAugment(mixup=0.5, alpha=0.4), KINDS["detection"].composites, "detection")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> str:
    return folder(tmp_path_factory.mktemp("data") / "photos", {"cat": 24, "dog": 24})


def test_a_stopped_run_ends_as_one_that_was_not(photos: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped twice: while samples are mixed, and after the last one that is."""
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))
    keys = {
        "fit.batch": 8, "fit.epochs": 3, "fit.threads": 1, "augment.mixup": 0.4, "augment.cutmix": 0.4,
        "augment.cutout": 0.3, "augment.close": 0.4,
    }  # fmt: skip
    whole = train(photos, keys, model="resnet8", out=tmp_path / "whole")
    stepped = pace.Pace.stepped
    for number, stop in enumerate((4, 11)):
        calls: list[int] = []

        def stepping(self: pace.Pace, calls: list[int] = calls, stop: int = stop - 4 * number) -> None:
            stepped(self)
            calls.append(1)
            if len(calls) == stop:
                os.kill(os.getpid(), signal.SIGTERM)

        monkeypatch.setattr(pace.Pace, "stepped", stepping)
        with pytest.raises(Stopped):
            train(photos, keys, model="resnet8", out=tmp_path / "run") if not number else train(resume=tmp_path / "run")
    monkeypatch.setattr(pace.Pace, "stepped", stepped)
    run = train(resume=tmp_path / "run")
    for name in ("model/model.safetensors", "history.csv", "metrics.jsonl", "metrics.json"):
        assert (run.folder / name).read_bytes() == (whole.folder / name).read_bytes()
    words = [row["label"] for row in json.loads((run.folder / "samples" / "batch.json").read_text())]
    assert any("," in word for word in words) and any("," not in word for word in words)
