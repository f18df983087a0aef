"""The kind `attributes`: losses of its paper, judgement by truth, edits through `predict`, and a kill in a critic's turn."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import sightline
from sightline.errors import UsageError
from sightline.evaluation.generation.edits import judge_edits
from sightline.models.generative.editors import AttributeCritic, Editor, Opinion
from sightline.reports.finding import VerdictFacts
from sightline.reports.generation.attributes import ATTRIBUTES
from sightline.structures.batch import Batch
from sightline.structures.targets import Values
from sightline.tasks.generative.attributes import Attributes

from . import tiny_attributes as tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("attributes")


@pytest.fixture(scope="module")
def run(folder: Path) -> sightline.Run:
    return tiny.train(folder)


class _Halves(nn.Module):
    """An editor whose pictures are their attributes: the left half is the first, the right half the second."""

    def __init__(self, *, stuck: bool = False) -> None:
        super().__init__()
        self.gain, self.stuck = nn.Parameter(torch.tensor(1.0)), stuck

    def encode(self, x: Tensor) -> list[Tensor]:
        return [x]

    def decode(self, maps: list[Tensor], attributes: Tensor) -> Tensor:
        if self.stuck:
            return self.gain * maps[0]
        half = maps[0].shape[3] // 2
        return self.gain * attributes.repeat_interleave(half, 1)[:, None, None].expand_as(maps[0])

    def forward(self, x: Tensor, attributes: Tensor) -> Tensor:
        return self.decode(self.encode(x), attributes)


class _Reads(nn.Module):
    """A critic that reads both halves, and scores the mean."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(3.0))

    def forward(self, x: Tensor) -> Opinion:
        left, right = (part.mean((1, 2, 3)) for part in x.chunk(2, 3))
        return Opinion(self.slope * x.mean((1, 2, 3)), torch.stack([left, right], 1))


def _batch(value: Tensor) -> Batch:
    n = len(value)
    image = (255 * value.repeat_interleave(2, 1)[:, None, None].expand(n, 1, 4, 4)).to(torch.uint8)
    size, frame = torch.tensor([[4, 4]] * n), torch.eye(3).expand(n, 3, 3)
    return Batch.of_images(image, size, frame, size, torch.arange(n), torch.arange(n), Values.of(value))


ALL = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


def test_the_losses_are_those_of_the_paper() -> None:
    task = Attributes(_Halves(), _Reads(), reconstruction=100.0, attribute=10.0, classify=1.0, penalty=10.0)
    torch.manual_seed(3)
    other = ALL[torch.randperm(4)]
    real, made = 2 * ALL - 1, 2 * other - 1
    bce = nn.functional.binary_cross_entropy_with_logits
    torch.manual_seed(3)
    found = task.loss(_batch(ALL), "critic")
    slope = 3.0 / 4  # |∇ of 3 · mean of 16 pixels| = 3 / √16
    expected = 3 * (made.mean() - real.mean()) + 10 * (slope - 1) ** 2 + bce(real, ALL)
    assert float(found.total.detach()) == pytest.approx(float(expected), abs=1e-5)
    torch.manual_seed(3)
    found = task.loss(_batch(ALL), "generator")
    assert float(found.total.detach()) == pytest.approx(float(-3 * made.mean() + 10 * bce(made, other)), abs=1e-5)
    task.generator.gain.data.fill_(0.5)  # type: ignore[operator, union-attr]
    torch.manual_seed(3)
    assert task.loss(_batch(ALL), "generator").parts["l1"] == pytest.approx(0.5)


def test_edits_are_judged_by_what_they_were_to_have() -> None:
    batch = _batch(ALL)
    task = Attributes(_Halves(), _Reads(), names=("left", "right"))
    metrics = judge_edits(task.rows(batch, task.predict(batch))).metrics
    assert metrics["edited"] == metrics["changed"] == metrics["kept"] == 1 and (metrics["psnr"] or 0) > 80
    still = Attributes(_Halves(stuck=True), _Reads(), names=("left", "right"))
    judgement = judge_edits(still.rows(batch, still.predict(batch)))
    assert judgement.metrics["changed"] == judgement.metrics["edited"] == 0 and judgement.metrics["kept"] == 1
    assert [row["class"] for row in judgement.per_class] == ["left", "right"]
    unknown = ALL.clone()
    unknown[:, 1] = torch.nan
    part = judge_edits(task.rows(_batch(ALL).with_pixels(target=Values.of(unknown)), task.predict(batch)))
    assert part.per_class[1]["support"] == 0 and part.per_class[0]["changed"] == 1


def test_a_run_is_measured_and_reported(run: sightline.Run) -> None:
    judgement = sightline.evaluate(run).judgement
    assert judgement.n > 3 and [row["class"] for row in judgement.per_class] == list(tiny.NAMES)
    assert 0 <= judgement.metrics["edited"] <= judgement.metrics["changed"] <= 1
    page = (run.folder / "report.html").read_text()
    assert f"of the edits of {judgement.n} test images have every attribute right" in page
    assert "its reconstruction, and each attribute taken away" in page
    facts = VerdictFacts(split="test", n=8, metrics={"test": {"changed": 0.5, "kept": 0.99}})
    found = ATTRIBUTES.result(facts, ATTRIBUTES.limits)
    assert found is not None and found.limit == "missed edits" and "task.attribute=20" in found.try_next[0].command


def test_predict_writes_the_edits_of_the_attributes_that_are_named(run: sightline.Run, folder: Path) -> None:
    image = folder / "squares" / "00.png"
    row = sightline.predict(run, image, out=folder / "both").rows[0]
    assert len(row["edits"]) == 2 and set(row["attributes"]) == set(tiny.NAMES)
    one = sightline.predict(run, image, out=folder / "one", classes="red", draw=folder / "drawn").rows[0]
    assert one["edits"][0][2:] == "red" and list(one["attributes"]) == ["red"]
    with Image.open(row["edited"]) as both, Image.open(one["edited"]) as single:
        assert both.size == (2 * tiny.SIDE, tiny.SIDE) and single.size == (tiny.SIDE, tiny.SIDE)
        assert np.array_equal(np.asarray(both)[:, tiny.SIDE :], np.asarray(single))
        assert "Artificial" in single.text["Description"]  # type: ignore[attr-defined]
    assert len(list((folder / "drawn").iterdir())) == 1


def test_a_training_killed_in_a_critics_turn_ends_as_one_that_was_left_alone(run: sightline.Run, folder: Path) -> None:
    out = folder / "killed"
    command = [sys.executable, "-m", "tests.generation.tiny_attributes", str(folder / "squares"), str(out), "6"]
    done = subprocess.run([*command, *tiny.KEYS], capture_output=True, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    resumed = sightline.train(resume=out)
    for name in ("generator", "critic"):
        file = f"model/{name}.safetensors"
        assert (resumed.folder / file).read_bytes() == (run.folder / file).read_bytes()
    assert (resumed.folder / "history.csv").read_bytes() == (run.folder / "history.csv").read_bytes()


def test_networks_take_the_attributes_everywhere_and_judge_an_image_alone() -> None:
    torch.manual_seed(0)
    editor, x = Editor((3, 16, 16), 2, base=4, depth=3, skips=1).eval(), torch.randn(3, 3, 16, 16)
    has, lacks = torch.ones(3, 2), -torch.ones(3, 2)
    assert editor(x, has).shape == x.shape and not torch.equal(editor(x, has), editor(x, lacks))
    critic = AttributeCritic((3, 16, 16), 2, base=4, depth=3)
    assert torch.allclose(critic(x[1:2]).score, critic(x).score[1:2], atol=1e-5)
    with pytest.raises(UsageError, match="cannot halve images of 12x16 3 times"):
        Editor((3, 12, 16), 2)
    with pytest.raises(UsageError, match="skips=3 of 3 maps"):
        Editor((3, 16, 16), 2, skips=3)
