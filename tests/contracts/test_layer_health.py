"""Layers are watched without touching the training, and what is said of them is so."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import sightline.engine.health.layers as layers
import sightline.training.health as watching
from sightline.engine.health.layers import LayerHealth, activations, weighted_layers
from sightline.engine.health.norms import batch_norms, with_batch_statistics
from sightline.errors import Stopped
from sightline.reports.diagnosis.health import Health, LayerCourse, NormGap, read_health
from sightline.reports.finding import VerdictFacts
from sightline.reports.reading import RunFiles
from sightline.verbs.train import train
from tests.asking import folder
from tests.verdicts import verdict

KEYS = {"fit.batch": 4, "fit.epochs": 2, "fit.threads": 1, "fit.device": "cpu"}
FILES = ("model/model.safetensors", "metrics.jsonl", "history.csv", "diagnosis/health.jsonl", "diagnosis/norms.json")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> str:
    return folder(tmp_path_factory.mktemp("data") / "photos", {"cat": 14, "dog": 14})


@pytest.fixture(autouse=True)
def often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(layers, "LEAST_PERIOD", 2)


def test_watching_changes_no_bit_and_resumes_exactly(
    photos: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(photos, KEYS, model="resnet8", out=tmp_path / "whole").folder
    samples = [json.loads(line) for line in (whole / FILES[3]).read_text().splitlines()]
    last = samples[-1]["step"]
    assert [s["step"] for s in samples] == sorted({*range(2, last + 1, 2), last})
    assert all(0 < layer["ratio"] < 1 and layer["gradient"] > 0 for s in samples for layer in s["layers"].values())

    record = watching.HealthLog.record

    def interrupted(log: Any, state: Any) -> None:
        record(log, state)
        if state.step == 8:  # between two validations, and before the commit of this step
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(watching.HealthLog, "record", interrupted)
    with pytest.raises(Stopped):
        train(photos, KEYS, model="resnet8", out=tmp_path / "cut")
    monkeypatch.setattr(watching.HealthLog, "record", record)
    cut = train(resume=tmp_path / "cut").folder
    assert all((cut / name).read_bytes() == (whole / name).read_bytes() for name in FILES)

    monkeypatch.setattr(watching, "weighted_layers", lambda networks: {})
    alone = train(photos, KEYS, model="resnet8", out=tmp_path / "alone").folder
    assert not (alone / FILES[3]).exists()
    assert all((alone / name).read_bytes() == (whole / name).read_bytes() for name in FILES[:3])


def test_figures_of_a_layer_follow_their_formulas() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    with torch.no_grad():
        network[0].bias.copy_(torch.tensor([0.0, 0.0, -50.0, 0.0]))  # the third channel is shut
    found = LayerHealth(weighted_layers({"model": network}), steps=1, every=1)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    image = torch.randn(5, 1, 8, 8)
    found.prepare(0)
    hidden = network[2](network[1](network[0](image))).detach()
    before = network[3].weight.detach().clone()
    network(image).square().sum().backward()
    gradient = network[3].weight.grad.clone()
    optimiser.step()
    sample = found.record(1)
    assert sample is not None
    dense = sample["layers"]["3"]
    assert dense["mean"] == pytest.approx(float(hidden.mean()), rel=1e-5)
    assert dense["deviation"] == pytest.approx(float(hidden.std()), rel=1e-5)
    assert dense["dead"] == pytest.approx(float((hidden == 0).all(0).float().mean())) and dense["dead"] >= 0.25
    assert dense["gradient"] == pytest.approx(float(gradient.norm()), rel=1e-5)
    assert dense["ratio"] == pytest.approx(float(0.1 * gradient.norm() / before.norm()), rel=1e-3)
    assert "dead" not in sample["layers"]["0"]
    assert not any(layer._forward_pre_hooks for layer in network.modules())


def test_a_channel_is_dead_if_it_is_zero_everywhere() -> None:
    value = torch.rand(6, 4, 5, 5) + 0.1
    value[:, 1] = 0
    value[:5, 2] = 0  # one image excites it
    assert activations(nn.Conv2d(4, 1, 1), value, dead=True)["dead"] == 0.25


def test_batch_statistics_leave_the_running_ones_as_they_were() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    image = torch.randn(8, 3, 6, 6) * 5
    running, kept = network(image), {k: v.clone() for k, v in network.state_dict().items()}
    with with_batch_statistics(batch_norms(network)):
        assert not torch.allclose(network(image), running)
    assert torch.equal(network(image), running)
    assert all(torch.equal(v, kept[k]) for k, v in network.state_dict().items())


def facts(health: Health, train_accuracy: float = 0.3) -> VerdictFacts:
    metrics = {s: {"accuracy": v} for s, v in (("train", train_accuracy), ("val", 0.3), ("test", 0.3))}
    recipe = {"optim": {"lr": 1e-6}, "fit": {"epochs": 10, "batch": 32}, "augment": {"preset": "none"}}
    return VerdictFacts(
        split="test", n=2000, metrics=metrics, sizes={"train": 2000, "val": 2000, "test": 2000}, recipe=recipe, steps=900,
        majority=("a", 0.1), train_counts={"a": 1000, "b": 1000}, health=health,
    )  # fmt: skip


def course(**what: float) -> LayerCourse:
    return LayerCourse("stage.conv", {name: [(20 * i, value) for i in range(1, 9)] for name, value in what.items()})


def test_dead_units_and_small_updates_limit_a_network_that_does_not_fit() -> None:
    dead = verdict(facts(Health((course(dead=0.8, ratio=1e-3),))))
    assert dead.limit == "Limited by dead units." and "learning rate" in dead.advice
    slow = verdict(facts(Health((course(dead=0.1, ratio=1e-6),))))
    assert slow.limit == "Limited by a learning rate that is too low." and "optim.lr=0.0001" in str(slow.findings)
    assert len(slow.sentences) == 3
    well = verdict(facts(Health((course(dead=0.8, ratio=1e-6),)), train_accuracy=0.99))
    assert "dead" not in well.limit and "too low" not in well.limit
    plain = verdict(facts(Health((course(dead=0.1, ratio=1e-3),))))
    assert plain.limit.startswith("Limited by bias")


def test_a_gap_of_batch_norm_is_named_beyond_chance() -> None:
    named = verdict(facts(Health(norms=NormGap(0.5, 0.8, 512, 32)), train_accuracy=0.99))
    assert any("running statistics" in f.title for f in named.findings)
    within = verdict(facts(Health(norms=NormGap(0.79, 0.8, 512, 32)), train_accuracy=0.99))
    assert not any("running statistics" in f.title for f in within.findings)


def test_damaged_lines_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "diagnosis").mkdir()
    good = {"step": 2, "layers": {"a": {"ratio": 0.1, "dead": "x"}, "b": 7}}
    (tmp_path / "diagnosis" / "health.jsonl").write_text("{\n" + json.dumps(good) + "\n[1]\n")
    found = read_health(RunFiles(tmp_path))
    assert found is not None and [layer.name for layer in found.layers] == ["a"] and found.ratio == 0.1
