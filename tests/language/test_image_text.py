"""Kinds of images with texts: captioning, contrastive, reading; each from data to a run that is killed, resumed and asked."""

from __future__ import annotations

import math
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

import sightline
from sightline.decoding.sequences import best_path, best_text
from sightline.errors import UsageError
from sightline.evaluation.language.pairs import judge_pairs, read_pair_rows, write_pair_rows
from sightline.kinds.language.zero_shot import labels_of
from sightline.losses.contrastive import image_text_loss
from sightline.models.language.clip import Clip
from sightline.models.language.options import CAPTIONERS, CLIPS, build_text_network
from sightline.structures.rows.pairs import PairRows

from . import tiny

SMALL = (*tiny.SHORT, "input.size=32", "task.trunk=lenet5", "task.tokens=60", "model.options.width=16")
KEYS = {
    "captioning": ("task.kind=captioning", "model.options.depth=1", "model.options.heads=2", "task.beams=2", *SMALL),
    "contrastive": ("task.kind=contrastive", "model.options.depth=1", "model.options.heads=2", *SMALL),
    "reading": ("task.kind=reading", *tiny.SHORT, "input.size=16", "model.options.width=4", "model.options.hidden=8"),
}


def write_images(folder: Path) -> Path:
    """48 grey images with a bright square in one of two corners, two captions each."""
    (folder / "images").mkdir(parents=True)
    lines = []
    for i in range(48):
        image = np.random.default_rng(i).integers(0, 60, (16, 32), dtype=np.uint8)
        image[4:12, 4 + 16 * (i % 2) : 12 + 16 * (i % 2)] = 255
        Image.fromarray(image).save(folder / "images" / f"{i:02d}.png")
        split = "train" if i < 32 else "val" if i < 40 else "test"
        side = ("left", "right")[i % 2]
        lines += [f"{i:02d}.png,{split},a square on the {side}", f"{i:02d}.png,{split},{side} {i % 7}"]
    (folder / "captions.csv").write_text("image,split,caption\n" + "\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image_text")
    write_images(folder / "data")
    for split, some in (("train", 16), ("val", 5), ("test", 6)):
        (folder / "lines" / split).mkdir(parents=True)
        for i in range(some):
            pixels = np.random.default_rng(100 * some + i).integers(0, 255, (16, 32), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "lines" / split / f"{some}{i % 10}{i // 10}.png")
    return folder


def data_of(folder: Path, kind: str) -> Path:
    return folder / ("lines" if kind == "reading" else "data")


@pytest.fixture(scope="module", params=list(KEYS))
def run(request: pytest.FixtureRequest, folder: Path) -> sightline.Run:
    return tiny.train(data_of(folder, request.param), folder / request.param, *KEYS[request.param])


def test_a_killed_training_ends_as_one_that_was_left_alone(folder: Path, run: sightline.Run) -> None:
    kind = run.folder.name
    out = folder / f"{kind}-killed"
    assert tiny.killed(data_of(folder, kind), out, 3, *KEYS[kind]) == -signal.SIGKILL
    resumed = sightline.train(resume=out)
    assert tiny.weights(resumed) == tiny.weights(run)
    assert (out / "predictions/test.parquet").read_bytes() == (run.folder / "predictions/test.parquet").read_bytes()


def test_a_run_answers_and_reports(folder: Path, run: sightline.Run) -> None:
    found = sightline.predict(run, folder / "data/images/40.png")
    (row,) = found.rows
    assert isinstance(row["text"], str) and 0 <= row["probability"] <= 1
    page = (run.folder / "report.html").read_text()
    assert 'id="batch"' in page and "Metrics" in page
    again = sightline.evaluate(run)
    assert again.to_json()["metrics"] == pytest.approx(run.metrics["test"])
    if run.folder.name != "contrastive":
        with pytest.raises(UsageError, match="--labels does not apply"):
            sightline.predict(run, folder / "data/images/40.png", labels="left, right")


def test_labels_that_nobody_trained(folder: Path, run: sightline.Run) -> None:
    if run.folder.name != "contrastive":
        pytest.skip("only images and texts in one space have labels of any kind")
    prompts = "a square on the {} | {} 3: left, right"
    (row,) = sightline.predict(run, folder / "data/images/41.png", labels=prompts).rows
    assert row["label"] in ("left", "right") and sum(p for _, p in row["top"]) == pytest.approx(1)
    assert row["prompts"] == [f"a square on the {row['label']}", f"{row['label']} 3"]


def test_prompts_are_parsed() -> None:
    assert labels_of("a photo of a {}: cat, dog").prompts == (("a photo of a cat",), ("a photo of a dog",))
    assert labels_of("{} | old {}: cat, dog").prompts == (("cat", "old cat"), ("dog", "old dog"))
    assert labels_of("a dog: brown, two cats").names == ("a dog: brown", "two cats")
    for text, why in (("cat", "1 different"), ("cat, cat", "1 different"), ("a {} | b: cat, dog", "no place")):
        with pytest.raises(UsageError, match=why):
            labels_of(text)


def test_the_loss_is_the_mean_of_both_directions() -> None:
    torch.manual_seed(0)
    image, text = (F.normalize(torch.randn(5, 3), dim=1) for _ in range(2))
    scale = torch.tensor(4.0)
    total, logits = image_text_loss(image, text, scale)
    p, q = logits.softmax(1).diagonal(), logits.softmax(0).diagonal()
    torch.testing.assert_close(total, -(p.log().mean() + q.log().mean()) / 2)
    torch.testing.assert_close(logits, 4 * image @ text.T)


def _clip() -> Clip:
    trunk = sightline.create_model("lenet5", num_classes=0)
    network = build_text_network(
        "clip", CLIPS, 20, trunk, (1, 32, 32), seed=0, options={"width": 16, "heads": 2, "longest": 8}
    )
    assert isinstance(network, Clip)
    return network.eval()


def test_the_scale_stays_in_its_clamp() -> None:
    network = _clip()
    assert float(network.scale()) == pytest.approx(1 / 0.07)
    with torch.no_grad():
        network.logit_scale.fill_(9.0)
    assert float(network.scale()) == pytest.approx(100)
    network.scale().backward()
    assert network.logit_scale.grad == 0
    assert network.logit_scale.grad is not None and math.isfinite(float(network.logit_scale.grad))


def test_a_text_is_the_same_alone_and_padded() -> None:
    network = _clip()
    text = torch.tensor([[1, 7, 8, 2]])
    mask = torch.ones_like(text, dtype=torch.bool)
    padded = torch.tensor([[1, 7, 8, 2, 0, 0]])
    torch.testing.assert_close(network.encode_text(text, mask), network.encode_text(padded, padded > 0))


def test_recall_counts_equal_texts_as_equally_right(tmp_path: Path) -> None:
    image = np.eye(3)
    text = np.array([[0.9, 0.1, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    rows = PairRows(np.arange(3), image, text, ("a", "a", "b"))
    judgement = judge_pairs(rows)
    assert judgement.metrics["recall_at_1"] == 1.0, "the second text reads like the first"
    other = judge_pairs(PairRows(rows.id, image, text, ("a", "c", "b")))
    assert other.metrics["recall_at_1"] == pytest.approx(1 / 3) and set(other.worst) == {0, 1}
    write_pair_rows(tmp_path / "p.parquet", rows, names=["x", "y", "z"], classes=())
    again, names, _ = read_pair_rows(tmp_path / "p.parquet")
    assert np.array_equal(again.image, image) and again.wording == rows.wording and names == ["x", "y", "z"]


def test_a_blind_captioner_sees_nothing() -> None:
    trunk = sightline.create_model("lenet5", num_classes=0)
    network = build_text_network(
        "captioner", CAPTIONERS, 20, trunk, seed=0, options={"width": 16, "heads": 2, "blind": True}
    ).eval()
    prefix = torch.tensor([[1, 5, 6]])
    torch.testing.assert_close(network(torch.zeros(1, 1, 32, 32), prefix), network(torch.ones(1, 1, 32, 32), prefix))


def test_the_likeliest_path_is_not_the_likeliest_text() -> None:
    """Graves et al.'s point: the paths of "a" sum to more than the one path of nothing."""
    logs = np.log(np.array([[0.6, 0.4], [0.6, 0.4]]))
    assert best_path(logs) == ([], pytest.approx(0.36))
    assert best_text(logs, 4) == ([1], pytest.approx(0.64))


@pytest.mark.parametrize("seed", range(3))
def test_wide_beams_sum_over_all_paths(seed: int) -> None:
    """Against the sum over every path of four steps and three symbols, and torch's loss."""
    p = np.random.default_rng(seed).dirichlet(np.ones(3), 4)
    sums: dict[tuple[int, ...], float] = {}
    for path in np.ndindex(3, 3, 3, 3):
        text = tuple(s for s, last in zip(path, (-1, *path[:-1]), strict=True) if s and s != last)
        sums[text] = sums.get(text, 0.0) + float(np.prod([p[t, s] for t, s in enumerate(path)]))
    best = max(sums, key=lambda text: sums[text])
    text, probability = best_text(np.log(p), 50)
    assert tuple(text) == best and probability == pytest.approx(sums[best])
    if best:
        logs = torch.tensor(np.log(p))[:, None]
        loss = F.ctc_loss(logs, torch.tensor([best]), torch.tensor([4]), torch.tensor([len(best)]), reduction="sum")
        assert float((-loss).exp()) == pytest.approx(sums[best])
