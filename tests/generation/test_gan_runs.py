"""A GAN as a run: killed inside a critic's turn it ends in the same bytes; the better of averaged and raw weights is kept."""

from __future__ import annotations

import csv
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import sightline
from sightline.engine.ema import Ema, decay_at
from sightline.errors import UsageError
from sightline.kinds.catalogue import kind_named
from sightline.kinds.opening import check_recipe
from sightline.recipes.recipe import Recipe
from tests.complete_recipes import recipe_of

from . import dying_gan, tiny_gan

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[sightline.Run, sightline.Run]:
    """An untouched run, and one that was killed in the second of three critic turns of step 4 (counted from 0) and resumed."""
    folder = tmp_path_factory.mktemp("gan")
    whole = tiny_gan.train(folder, *dying_gan.KEYS, epochs=dying_gan.EPOCHS)
    a_step = (3 + 1) * 2  # turns, and micro-batches of each
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    number = str(4 * a_step + 2 + 2)  # the second micro-batch of the second turn
    command = [sys.executable, "-m", "tests.generation.dying_gan", str(folder), number]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr[-2000:]
    assert max(p.name for p in (folder / "killed/checkpoints").iterdir()) == "step-00000004"
    return whole, sightline.train(resume=folder / "killed")


def digests(run: sightline.Run) -> dict[str, str]:
    files = [*run.folder.glob("model/*"), *run.folder.glob("predictions/*"), *run.folder.glob("samples/**/*.json")]
    files += [run.folder / name for name in ("history.csv", "metrics.jsonl", "metrics.json")]
    newest = max((run.folder / "checkpoints").glob("step-*"))
    files += [p for p in newest.iterdir() if p.name != "manifest.json"]
    return {str(p.relative_to(run.folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_killed_in_a_critics_turn_and_resumed_is_bit_identical(runs: tuple[sightline.Run, sightline.Run]) -> None:
    whole, resumed = runs
    assert digests(whole) == digests(resumed)
    assert np.array_equal(whole.sample(20, seed=5), resumed.sample(20, seed=5))
    sheets = [sorted(p.name for p in (run.folder / "samples/progress").iterdir()) for run in runs]
    assert sheets[0] == sheets[1] and len(sheets[0]) >= 4


def test_history_has_both_weights_and_both_gradients(runs: tuple[sightline.Run, sightline.Run]) -> None:
    rows = list(csv.DictReader((runs[0].folder / "history.csv").open()))
    for row in rows:
        average, raw, kept = (float(row[f"val_frechet{name}"]) for name in ("_average", "_raw", ""))
        assert kept == min(average, raw)
        assert float(row["train_critic_gradient"]) > 0 and float(row["train_generator_gradient"]) > 0
    best = min(float(row["val_frechet"]) for row in rows)
    assert runs[0].metrics["val"]["frechet"] == best, "the kept weights are those of the best validation"
    page = (runs[0].folder / "report.html").read_text()
    for words in (
        "Images over training",
        "Gradient norms",
        "Nearest training images",
        "Its images have a Fréchet distance",
    ):
        assert words in page


def test_raw_weights_are_kept_where_they_are_better() -> None:
    """An average that has not left its start is worse than the weights themselves, and is said so."""
    from sightline.training.progress import Training

    network = nn.Linear(1, 1, bias=False)
    ema = Ema(network, 0.999)
    network.weight.data.fill_(5.0)
    task: Any = SimpleNamespace(metrics=lambda rows: {"frechet": abs(5.0 - rows)})
    scoring: Any = SimpleNamespace(both_weights=True, falling=("frechet",), batch=1)
    training: Any = object.__new__(Training)
    training.__dict__ |= {
        "ema": ema, "task": task, "device": "cpu", "images": {"val": [0]}, "stop_requested": lambda: False,
        "kind": SimpleNamespace(scoring=scoring), "recipe": SimpleNamespace(fit=SimpleNamespace(monitor="frechet")),
        "console": sightline_console(),
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sightline.training.progress.rows_of", lambda *a, **k: network.weight.item())
        patch.setattr("sightline.training.progress.in_order", lambda *a: [])
        row: dict[str, Any] = {}
        rows, averaged = training._measure(scoring, [], row)
        assert not averaged and rows == 5.0 and row["val_frechet"] == row["val_frechet_raw"] == 0.0
        ema.load({"weight": torch.tensor([[5.0]])})
        network.weight.data.fill_(9.0)
        row = {}
        rows, averaged = training._measure(scoring, [], row)
        assert averaged and rows == 5.0 and row["val_frechet_raw"] == 4.0


def sightline_console() -> Any:
    from sightline.runs.console import Console

    return Console(level=-1)


def test_the_decay_warms_up_and_leaves_constants_alone() -> None:
    assert [decay_at(t, 0.999) for t in (0, 90, 10**6)] == [0.1, 0.91, 0.999]
    module = nn.BatchNorm2d(3)
    module.register_buffer("schedule", torch.linspace(0.1, 0.7, 7))
    before = module.schedule.clone()  # type: ignore[operator]
    ema = Ema(module, 0.999)
    for step in range(50):
        module.weight.data += 1
        ema.update(step)
    assert torch.equal(ema.tensors()["schedule"], before), "a constant buffer keeps every bit"
    assert not torch.equal(ema.tensors()["weight"], module.weight)


def test_the_average_of_a_spectral_norm_has_its_norm() -> None:
    """Singular vectors turn while the weights move; their mean is short, and a norm by it far too small."""
    torch.manual_seed(0)
    layer = torch.nn.utils.parametrizations.spectral_norm(nn.Linear(16, 16))
    ema = Ema(layer, 0.999)
    for step in range(100):
        with torch.no_grad():
            layer.parametrizations.weight.original.copy_(torch.randn(16, 16))  # type: ignore[union-attr]
        layer.train()(torch.eye(16))
        ema.update(step)
    with ema.applied():  # 2.2; 32 with averaged vectors
        assert float(torch.linalg.matrix_norm(layer.eval().weight.detach(), 2)) < 5
    assert not any(name.endswith(("._u", "._v")) for name in ema.tensors())


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"loss": "wasserstein", "lipschitz": "none"}, "needs a critic of limited slope"),
        ({"penalty": 5.0}, "task.penalty has no effect"),
    ],
)
def test_settings_that_contradict_each_other(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_recipe(recipe(keys), kind_named("gan"))


def recipe(keys: dict[str, Any], **model: Any) -> Recipe:
    return recipe_of({"task": {"kind": "gan", **keys}, "model": model} if model else {"task": {"kind": "gan", **keys}})


def test_conditions_that_cannot_be_met() -> None:
    kind = kind_named("gan")
    with pytest.raises(UsageError, match="needs classes, and the data have none"):
        kind.networks(recipe({"condition": "concat"}), 0)
    with pytest.raises(UsageError, match=r"knows no task\.condition=channel"):
        kind.networks(recipe({"condition": "channel"}, name="stylegan"), 3)
    with pytest.raises(UsageError, match="unknown generative network 'resnet18'"):
        check_recipe(recipe({}, name="resnet18"), kind)
    with pytest.raises(UsageError, match=r"model.options.base"):
        check_recipe(recipe({}, name="dcgan", options={"base": "wide"}), kind)
    with pytest.raises(UsageError, match="cannot make images of 30x30"):
        kind.networks(recipe_of({"task": {"kind": "gan"}, "input": {"size": 30}}), 0)
