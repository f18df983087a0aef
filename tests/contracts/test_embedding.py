"""Vectors through every verb: people split by identity, trained, killed, resumed, evaluated on others, predicted."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import sightline
import sightline.training.progress as actions
from sightline import runtime
from sightline.data.dataset import build_dataset
from sightline.data.orders import by_identity
from sightline.errors import DamagedError, Stopped
from sightline.evaluation.similarity.judgement import judge_vectors
from sightline.evaluation.similarity.stored import read_vector_rows
from sightline.exports.agreement import vector_difference
from sightline.kinds.similarity.embedding import HEADS
from sightline.kinds.similarity.graph import FAR, Nearest
from sightline.layers.embedding import Embedder
from sightline.losses.similarity import batch_hard, contrastive, nt_xent, pair_masks, semi_hard, siamese, sup_con
from sightline.metrics.similarity.recognition import one_shot
from sightline.metrics.similarity.verification import (
    PairDistances,
    distance_matrix,
    pairs_of,
    threshold_of_equal_errors,
    verification,
)
from sightline.preprocessing.normalise import Normalise, Normalised
from sightline.randomness.keyed import torch_seeded
from sightline.runs.run import Run
from sightline.runtime.vectors import nearest_row
from sightline.structures.batch import Batch
from sightline.structures.targets import Labels
from sightline.structures.vector_rows import VectorRows
from sightline.tasks.embedding import Embedding, SimilarityLoss
from tests.asking import called, refused

KEYS = ["task.kind=embedding", "task.dimension=8", "fit.threads=1", "fit.precision=fp32", "optim.name=adamw"]


def write_people(root: Path, people: int = 14, images: int = 6, single: int = 1, first: int = 0) -> Path:
    """Each person is a pattern of 3 x 3 squares, in every image under another light and noise; `single` have one image."""
    for person in range(first, first + people + single):
        pattern = np.kron(np.random.default_rng(person).integers(40, 200, (3, 3)), np.ones((4, 4)))
        for i in range(images if person < first + people else 1):
            rng = np.random.default_rng(1_000 + 50 * person + i)
            pixels = pattern * rng.uniform(0.6, 1.2) + rng.normal(0, 12, (12, 12))
            path = root / f"p{person:03d}" / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
    return root


def train(folder: Path, name: str, *keys: str, **more: Any) -> Run:
    given = {"model": "convnet", "epochs": 6, "batch": 16, "out": folder / name} | more
    return sightline.train(folder / "data", [*KEYS, "optim.lr=0.01", *keys], **given)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    folder = tmp_path_factory.mktemp("people")
    write_people(folder / "data")
    return folder, train(folder, "run")


def ended(run: Run) -> dict[str, bytes]:
    names = ("model/model.safetensors", "history.csv", "metrics.jsonl", "metrics.json", "task.json")
    names += tuple(f"predictions/{split}.parquet" for split in ("train", "val", "test"))
    return {name: (run.folder / name).read_bytes() for name in names}


def test_nobody_is_in_two_splits(trained: tuple[Path, Run]) -> None:
    _, run = trained
    people = {}
    for split in ("train", "val", "test"):
        rows, names, classes = read_vector_rows(run.folder / "predictions" / f"{split}.parquet")
        assert [classes[i] for i in rows.identity] == [name.split("/")[0] for name in names]
        people[split] = set(rows.identity.tolist())
    assert all(len(own) >= 2 for own in people.values())
    assert sum(map(len, people.values())) == len(set.union(*people.values())) == 15
    assert run.metrics["train"]["auc"] > 0.9
    page = (run.folder / "report.html").read_text()
    for word in (
        "ROC of verification",
        "chosen on other people",
        "farthest apart",
        "AUC of verification",
        "MAP@R of raw pixels",
        "bootstrap over identities",
        "pixels or PCA",
    ):
        assert word in page
    assert (run.folder / "README.md").read_text().startswith("# run")


def test_a_shared_identity_is_refused(tmp_path: Path) -> None:
    write_people(tmp_path / "train", 4, 3, 0)
    write_people(tmp_path / "test", 2, 3, 0, first=3)
    for path in (tmp_path / "test" / "p003").iterdir():
        Image.fromarray(np.random.default_rng(int(path.stem)).integers(0, 255, (12, 12), dtype=np.uint8)).save(path)
    said = refused(3, "train", str(tmp_path), *KEYS, "--out", str(tmp_path / "run"))
    assert "identities in two splits: p003 (train and test)" in said


def test_folds_part_people(tmp_path: Path) -> None:
    from sightline.data.folds import Fold

    write_people(tmp_path, 6, 3, 0)
    held = []
    for which in (1, 2, 3):
        data = build_dataset(str(tmp_path), needs="identities", rule=Fold(which, 3))
        test, rest = set(data.index[data.ids("test")].tolist()), set(data.index[data.ids("train")].tolist())
        assert len(test) == 2 and not test & rest
        held += sorted(test)
    assert sorted(held) == list(range(6))


def test_killed_and_resumed_is_bit_identical(trained: tuple[Path, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, run = trained
    whole, calls = actions.rows_of, []

    def stop_in_the_third(task: Any, batches: Any, device: str, *, stop: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return whole(task, batches, device, stop=stop)

    monkeypatch.setattr(actions, "rows_of", stop_in_the_third)
    with pytest.raises(Stopped):
        train(folder, "killed")
    monkeypatch.setattr(actions, "rows_of", whole)
    assert ended(sightline.train(resume=folder / "killed")) == ended(run)


def test_evaluate_equals_what_training_measured_and_takes_others(trained: tuple[Path, Run], tmp_path: Path) -> None:
    _, run = trained
    own = sightline.evaluate(run).judgement.metrics
    assert {name: own[name] for name in run.metrics["test"]} == pytest.approx(run.metrics["test"], abs=1e-9)
    write_people(tmp_path / "others", 5, 4, 0, first=300)
    code, said, _ = called("evaluate", str(run.folder), str(tmp_path / "others"))
    assert code == 0 and said["n"] == 20 and set(said["per_class"]) == {f"p{p}" for p in range(300, 305)}
    assert said["metrics"]["one_shot"] > 0.2 and said["metrics"]["pca_auc"] > 0.5
    low, high = said["intervals"]["map_at_r"]
    assert low < said["metrics"]["map_at_r"] < high


def test_predict_names_the_nearest_or_nobody(trained: tuple[Path, Run], tmp_path: Path) -> None:
    folder, run = trained
    rows, names, classes = read_vector_rows(run.folder / "predictions" / "train.parquet")
    path = folder / "data" / names[0]
    code, said, _ = called("predict", str(run.folder), str(path))
    (found,) = said["predictions"]
    assert code == 0 and found["label"] == found["nearest"][0][0] == classes[rows.identity[0]]
    assert found["distance"] == pytest.approx(0, abs=1e-6) and found["vector"] == pytest.approx(
        rows.vector[0], abs=1e-6
    )
    facts = json.loads((run.folder / "task.json").read_text())
    assert found["threshold"] == facts["threshold"]
    Image.fromarray(np.zeros((12, 12), np.uint8)).save(tmp_path / "black.png")
    (nobody,) = called("predict", str(run.folder), str(tmp_path / "black.png"))[1]["predictions"]
    expected = "unknown" if nobody["distance"] > nobody["threshold"] else nobody["nearest"][0][0]
    assert nobody["label"] == expected


@pytest.mark.parametrize("loss", get_args(SimilarityLoss))
def test_every_loss_is_descended(loss: SimilarityLoss) -> None:
    """A dozen steps on one batch: its loss falls, and what is stored of it can be judged."""
    with torch_seeded(0, "test"):
        head = HEADS.get(loss, "none")
        trunk = nn.Sequential(nn.Flatten(), nn.Linear(48, 16), nn.ReLU(), nn.Linear(16, 8))
        image = (torch.rand(8, 3, 4, 4) * 255).to(torch.uint8)
        network = Embedder(trunk, 8, 4, pixels=16, head=head)
    task = Embedding(Normalised(Normalise((128.0,) * 3, (64.0,) * 3), network), loss=loss)
    ids = torch.arange(8)
    batch = Batch.of_images(image, torch.full((8, 2), 4), torch.eye(3).expand(8, 3, 3), torch.full((8, 2), 4), ids, ids,
                            Labels.of(ids // 2))  # fmt: skip
    descent = torch.optim.Adam(task.parameters(), 0.01)
    totals = []
    for _ in range(12):
        found = task.loss(batch)
        descent.zero_grad()
        found.total.backward()
        descent.step()
        totals.append(float(found.total.detach()))
    assert totals[-1] < totals[0]
    task.eval().conclude([batch])
    with torch.no_grad():
        rows = task.rows(batch, task.predict(batch))
    assert len(rows.weight) == (8 if loss == "siamese" else 0)
    assert task.threshold > 0 and judge_vectors(rows, list("abcd")).n == 8


def test_values_without_effect_are_refused(trained: tuple[Path, Run], tmp_path: Path) -> None:
    folder, _ = trained
    where = ("--out", str(tmp_path / "run"))
    data = str(folder / "data")
    assert "task.temperature has no effect" in refused(2, "train", data, *KEYS, "task.temperature=0.2", *where)
    assert "a multiple of 4" in refused(2, "train", data, *KEYS, "fit.batch=18", *where)


def test_the_order_holds_whole_groups_and_everybody() -> None:
    identity = np.array([0] * 5 + [1] * 3 + [2] + [3] * 6 + [-1])
    order = by_identity(identity, 4)
    stream = torch.cat([order(7, epoch) for epoch in range(8)])
    assert len(order(7, 0)) == len(identity)
    groups = stream.view(-1, 4)
    who = torch.from_numpy(identity)[groups]
    assert (who == who[:, :1]).all() and (who >= 0).all()
    assert who[:, 0].bincount().tolist() == [8, 8, 8, 8]
    for row, person in zip(groups.tolist(), who[:, 0].tolist(), strict=True):
        assert len(set(row)) == min(4, int((identity == person).sum()))
    assert torch.equal(order(7, 3), by_identity(identity, 4)(7, 3)) and not torch.equal(order(7, 3), order(8, 3))


def test_one_image_twice_is_no_pair() -> None:
    """Equal identities, one image: they push others and pull nobody; without any pair losses and gradients are 0."""
    positive, negative = pair_masks(torch.tensor([0, 0, 1]), torch.tensor([5, 5, 6]))
    assert not positive.any() and negative.sum() == 4
    vectors = torch.randn(4, 3, requires_grad=True)
    alone, ids = torch.zeros(4, dtype=torch.long), torch.arange(4) // 4
    head = torch.ones(3), torch.tensor(0.0)
    for mean, _ in (
        *(loss(vectors, alone, ids) for loss in (contrastive, batch_hard, semi_hard, nt_xent, sup_con)),
        siamese(vectors, alone, *head, ids),
    ):
        (gradient,) = torch.autograd.grad(mean, vectors)
        assert float(mean.detach()) == 0 and (gradient == 0).all()


def test_equal_vectors_have_finite_gradients() -> None:
    vectors = torch.ones(4, 3, requires_grad=True)
    for loss in (contrastive, batch_hard):
        (gradient,) = torch.autograd.grad(loss(vectors, torch.tensor([0, 0, 1, 1]))[0], vectors)
        assert gradient.isfinite().all()


def test_siamese_distance_is_the_published_probability() -> None:
    """exp(-distance) is σ(Σ ω|Δ| + b)."""
    rng = np.random.default_rng(0)
    a, b, weight, bias = rng.normal(size=(3, 4)), rng.normal(size=(2, 4)), rng.normal(size=4), 0.3
    expected = 1 / (1 + np.exp(-((np.abs(a[:, None] - b[None]) * weight).sum(2) + bias)))
    assert np.exp(-distance_matrix(a, b, weight, bias)) == pytest.approx(expected, abs=1e-12)


def test_verification_by_hand() -> None:
    """Distances 1 to 6: equal, equal, different, equal, different, different. AUC 8 of 9; at 3.5, one of three wrong each."""
    same = np.array([1, 1, 0, 1, 0, 0], bool)
    ids = np.arange(6)
    pairs = PairDistances(ids, ids, same, np.arange(1.0, 7.0))
    figures = verification(pairs)
    assert figures["auc"] == pytest.approx(8 / 9) and figures["eer"] == pytest.approx(1 / 3)
    assert threshold_of_equal_errors(pairs) == 3.5


def test_one_shot_equals_drawn_episodes() -> None:
    rng = np.random.default_rng(1)
    identity = np.repeat(np.arange(6), 4)
    vectors = rng.normal(size=(6, 3))[identity] + rng.normal(size=(24, 3))
    distance = distance_matrix(vectors, vectors)
    exact = one_shot(identity, distance, 4)
    right = []
    for _ in range(6_000):
        chosen = rng.permutation(6)[:4]
        images = [rng.permutation(np.flatnonzero(identity == c))[:2] for c in chosen]
        query = images[0][1]
        right.append(distance[query, images[0][0]] < min(distance[query, i[0]] for i in images[1:]))
    assert exact.mean() == pytest.approx(np.mean(right), abs=0.02)
    assert np.isnan(one_shot(identity, distance, 7)).all()


def test_intervals_resample_identities() -> None:
    """Copies of each image say nothing more about other people: the interval stays as wide."""
    rng = np.random.default_rng(2)
    identity = np.repeat(np.arange(12), 4)
    vectors = rng.normal(size=(12, 3))[identity] + rng.normal(size=(48, 3))

    def width(times: int) -> float:
        who = np.repeat(identity, times)
        x = np.repeat(vectors, times, axis=0) + 1e-9 * rng.normal(size=(48 * times, 3))
        rows = VectorRows(np.arange(len(who)), who, x, x, x, np.zeros(0), 0.0, 1.0, 5)
        judged = judge_vectors(rows, [str(i) for i in range(12)])
        low, high = judged.intervals["auc"] or (0, 0)
        return high - low

    assert width(2) == pytest.approx(width(1), rel=0.3)
    assert pairs_of(identity, distance_matrix(vectors, vectors)).same.sum() == 12 * 6


def test_changed_rows_are_refused(trained: tuple[Path, Run], tmp_path: Path) -> None:
    _, run = trained
    data = bytearray((run.folder / "predictions" / "val.parquet").read_bytes())
    (tmp_path / "other.parquet").write_bytes(data[: len(data) // 2])
    with pytest.raises(DamagedError, match="does not hold rows of vectors"):
        read_vector_rows(tmp_path / "other.parquet")


def test_an_export_names_the_same_people(trained: tuple[Path, Run], tmp_path: Path) -> None:
    folder, run = trained
    facts = sightline.export(run, out=tmp_path / "exported")
    assert facts["parity"]["max_difference"] <= 1e-4
    images = sorted((folder / "data").glob("p00[0-4]/*.png"))
    answers = runtime.open(tmp_path / "exported").predict_batch(images)
    for row, own in zip(answers, sightline.predict(run, images).rows, strict=True):
        assert row["label"] == own["label"] and row["nearest"][0][0] == own["nearest"][0][0]
        assert row["distance"] == pytest.approx(own["distance"], abs=1e-4)


def test_the_graphs_distances_are_the_tasks() -> None:
    for loss in ("batch_hard", "siamese"):
        torch.manual_seed(0)
        trunk = nn.Sequential(nn.Flatten(), nn.Linear(27, 6))
        embedder = Embedder(trunk, 6, 3, pixels=9, normalised=loss != "siamese", head=HEADS.get(loss, "none"))
        embedder.gallery.normal_()
        embedder.filled.copy_(torch.tensor([5.0, 2.0, 0.0]))
        task = Embedding(embedder, loss=loss).eval()  # type: ignore[arg-type]
        image = torch.rand(4, 3, 3, 3)
        vector, distance = Nearest(task)(image)
        expected = task.nearest(vector.detach())
        assert np.abs(distance[:, :2].detach().numpy() - expected[:, :2]).max() <= 1e-5
        assert np.isinf(expected[:, 2]).all() and bool((distance[:, 2] >= FAR).all())


def test_a_map_explains_the_likeness_to_the_nearest(trained: tuple[Path, Run], tmp_path: Path) -> None:
    folder, run = trained
    image = folder / "data" / "p000" / "0.png"
    own = next(iter(sightline.predict(run, [image]).rows))
    told = sightline.explain(run, [image], method="occlusion", out=tmp_path / "maps").to_json()
    text = json.dumps(told)
    assert own["nearest"][0][0] in text and f"{own['distance']:.3f}" in text
    assert "the likeness to" in text


def test_vectors_differ_by_label_distance_or_not_at_all() -> None:
    row = nearest_row(np.array([0.2, 0.9, np.inf]), [1.0, 0.0], ["a", "b", "c"], 0.5)
    assert row["label"] == "a" and [name for name, _ in row["nearest"]] == ["a", "b"]
    assert nearest_row(np.array([0.6, 0.9, np.inf]), [1.0], ["a", "b", "c"], 0.5)["label"] == "unknown"
    assert not vector_difference(row, row, {}).reason
    far = {**row, "nearest": [["a", 0.21], ["b", 0.9]]}
    assert vector_difference(row, far, {}).reason == "a distance differs by 0.01"
    other = {**row, "label": "b"}
    assert vector_difference(row, other, {}).reason == "'b' instead of 'a'"
    edge = nearest_row(np.array([0.50003, 0.9]), [1.0, 0.0], ["a", "b"], 0.5)
    inside = nearest_row(np.array([0.49999, 0.9]), [1.0, 0.0], ["a", "b"], 0.5)
    assert inside["label"] == "a" and edge["label"] == "unknown" and not vector_difference(inside, edge, {}).reason
