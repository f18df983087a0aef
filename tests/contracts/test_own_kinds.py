"""Kinds of task that the house does not know pass every verb: a GAN on images without labels, and pairs of images.

They touch no file of the package. What they cost is what `tests/own_kinds` holds: a task, a kind, rows, a section.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_data import write, write_folder

NAMES = ("toy_gan", "toy_pairs")
ROOT = Path(__file__).parents[2]
STEPS_SEEN = 7  # the loss in which the process dies, counted from the second commit on, is inside this step


def command(*args: str, kill: int = 0, code: int = 0, cwd: Path) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "SIGHTLINE_CACHE": str(cwd / "cache")}
    environment |= {"SIGHTLINE_TEST_KILL": str(kill)} if kill else {}
    done = subprocess.run(
        [sys.executable, "-m", "tests.own_kinds", *args], cwd=cwd, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done


def last_json(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def write_data(name: str, folder: Path) -> None:
    if name == "toy_gan":
        for i in range(40):
            write(folder / f"{i:02d}.png", i)
    else:
        write_folder(folder, {"a": 20, "b": 20})


def train(name: str, out: str, cwd: Path, *more: str, kill: int = 0, code: int = 0) -> dict[str, Any]:
    keys = ("fit.accumulate=2", "fit.ema=0.9", "fit.commit_every=2", "fit.epochs=2")
    done = command(
        "train", "data", f"task.kind={name}", "--out", out, "--json", *keys, *more, kill=kill, code=code, cwd=cwd
    )
    return last_json(done) if code == 0 else {}


@pytest.fixture(scope="module", params=NAMES)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    write_data(request.param, folder / "data")
    train(request.param, "whole", folder)
    return request.param, folder


def outcome(run: Path) -> dict[str, str]:
    """Everything that two equal runs have in common."""
    newest = max((run / "checkpoints").glob("step-*"))
    names = [*(run / "model").iterdir(), *newest.iterdir(), run / "metrics.jsonl", run / "metrics.json"]
    names += [*(run / "predictions").glob("*.parquet"), run / "history.csv"]
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in names
        if path.name != "manifest.json"
    }


def test_a_run_has_all_its_networks(trained: tuple[str, Path]) -> None:
    name, folder = trained
    files = sorted(path.name for path in (folder / "whole/model").iterdir())
    if name == "toy_gan":
        assert files == ["critic.json", "critic.safetensors", "generator.json", "generator.safetensors"]
        described = json.loads((folder / "whole/model/generator.json").read_text())
        assert described["parameters"] == 4 * 192 + 192
    else:
        assert files == ["config.json", "model.safetensors"]
    history = (folder / "whole/history.csv").read_text().splitlines()
    assert len(history) >= 3
    assert ("train_critic" in history[0]) == (name == "toy_gan")


def test_killed_inside_a_turn_and_resumed_is_bit_identical(trained: tuple[str, Path]) -> None:
    """The GAN dies in the third of the critic's five turns, in its second micro-batch; the pairs in mid-step."""
    name, folder = trained
    losses_a_step = 12 if name == "toy_gan" else 2
    inside = 6 if name == "toy_gan" else 2
    train(name, "killed", folder, kill=5 * losses_a_step + inside, code=-9)
    kept = sorted(path.name for path in (folder / "killed/checkpoints").iterdir())
    assert kept[-1] == "step-00000004"
    command("train", "--resume", "killed", cwd=folder)
    assert outcome(folder / "killed") == outcome(folder / "whole")


def test_every_verb_about_the_run(trained: tuple[str, Path]) -> None:
    name, folder = trained
    image = "data/00.png" if name == "toy_gan" else "data/a/0.png"
    rows = last_json(command("predict", "whole", image, "--json", cwd=folder))["predictions"]
    assert len(rows) == 1
    assert ("realness" in rows[0]) == (name == "toy_gan")
    assert "00.png" in command("predict", "whole", "data", cwd=folder).stdout or name == "toy_pairs"
    command("predict", "whole", image, "--out", "out.csv", cwd=folder)
    assert (folder / "out.csv").read_text().startswith("path,realness" if name == "toy_gan" else "path,vector")

    verified = last_json(command("verify", "whole", "--json", cwd=folder))
    sealed = {row["file"] for row in verified["files"]}
    assert {"model/critic.safetensors", "model/generator.json"} <= sealed or name == "toy_pairs"

    command("report", "whole", cwd=folder)
    page = (folder / "whole/report.html").read_text()
    assert ("Adversaries" in page) == (name == "toy_gan")
    assert "has no metric" in page or name == "toy_pairs"
    assert (folder / "whole/README.md").read_text().startswith("# whole")


def test_evaluate_measures_or_says_that_nothing_can(trained: tuple[str, Path]) -> None:
    name, folder = trained
    if name == "toy_gan":
        done = command("evaluate", "whole", "--json", code=2, cwd=folder)
        assert "toy_gan has no metrics" in last_json(done)["error"]["message"]
        return
    found = last_json(command("evaluate", "whole", "--json", cwd=folder))
    stored = json.loads((folder / "whole/metrics.json").read_text())
    assert found["metrics"] == stored["test"]
    assert found["n"] == stored["images"]["test"]
    assert "pair_accuracy" in command("evaluate", "whole", cwd=folder).stdout


def test_a_rehearsal(trained: tuple[str, Path]) -> None:
    name, folder = trained
    summary = train(name, "smoke", folder, "--smoke")
    assert (summary["smoke"], summary["steps"], summary["task"]) == (True, 2, name)


def test_a_damaged_network_is_named(trained: tuple[str, Path]) -> None:
    name, folder = trained
    train(name, "hurt", folder)
    path = folder / "hurt/model" / ("critic.safetensors" if name == "toy_gan" else "model.safetensors")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    done = command("verify", "hurt", "--json", code=5, cwd=folder)
    assert path.name in last_json(done)["error"]["message"]
    image = "data/00.png" if name == "toy_gan" else "data/a/0.png"
    command("predict", "hurt", image, code=3, cwd=folder)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("task.penlty=1", "task.penalty"),
        ("fit.monitor=accuracy", "not a metric of toy_gan"),
        ("fit.patience=2", "toy_gan has none"),
        ("data.balance=sample", "works for classification only"),
        ("model.weights=x.safetensors", "generator, critic"),
    ],
)
def test_what_a_kind_cannot_do_is_refused_by_name(tmp_path: Path, key: str, message: str) -> None:
    write_data("toy_gan", tmp_path / "data")
    done = command("train", "data", "task.kind=toy_gan", key, "--out", "run", code=2, cwd=tmp_path)
    assert message in done.stderr
    assert not (tmp_path / "run").exists() or not any((tmp_path / "run").iterdir())
