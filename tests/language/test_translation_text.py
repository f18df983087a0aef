"""The kind `translation_text`: from pairs of texts to a run that translates."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

import sightline
from sightline.errors import DataError, UsageError
from sightline.evaluation.language.texts import judge_texts, read_text_rows, write_text_rows
from sightline.metrics.texts.bleu import bleu, counts_of
from sightline.metrics.texts.edits import edit_distance
from sightline.metrics.texts.measures import text_metrics
from sightline.preprocessing.tokens.vocabulary import END, START
from sightline.structures.rows.texts import TextRows
from sightline.tasks.language.writing import write

from . import tiny

KIND = "task.kind=translation_text"
KEYS = (
    KIND,
    *tiny.SHORT,
    "model.options.width=16",
    "model.options.depth=1",
    "model.options.heads=2",
    "task.tokens=300",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("translation_text")


@pytest.fixture(scope="module")
def run(folder: Path) -> sightline.Run:
    return tiny.train(tiny.write_pairs(folder / "pairs"), folder / "run", *KEYS)


def test_a_killed_training_ends_as_one_that_was_left_alone(folder: Path, run: sightline.Run) -> None:
    out = folder / "killed"
    assert tiny.killed(folder / "pairs", out, 5, *KEYS) == -signal.SIGKILL
    resumed = sightline.train(resume=out)
    assert tiny.weights(resumed) == tiny.weights(run)
    assert (out / "predictions/test.parquet").read_bytes() == (run.folder / "predictions/test.parquet").read_bytes()


def test_the_run_translates_texts_files_and_tables(folder: Path, run: sightline.Run) -> None:
    (folder / "texts.txt").write_text("one two\n\nthree four\n")
    found = sightline.predict(run, ["seven one", folder / "texts.txt", folder / "pairs/test.tsv"])
    assert [row["path"] for row in found.rows[:3]] == ["seven one", "one two", "three four"]
    assert found.n == 3 + 8 and found.failed == 0
    assert all(isinstance(row["text"], str) and 0 <= row["probability"] <= 1 for row in found.rows)
    assert json.dumps(found.to_json())
    (folder / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"other\.csv has no column of texts"):
        sightline.predict(run, folder / "other.csv")


def test_the_run_keeps_its_vocabulary_and_shows_examples(run: sightline.Run) -> None:
    vocabulary = run.read_json("task.json")["vocabulary"]
    assert vocabulary["form"] == "byte_pairs" and len(vocabulary["tokens"]) <= 300
    page = (run.folder / "report.html").read_text()
    assert all(f'id="{anchor}"' in page for anchor in ("examples", "batch"))
    assert "three five" in page, "sources stand beside their answers"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "epochs"), [("recurrent", 60), ("transformer", 25)])
def test_each_network_learns_to_copy_two_digits(name: str, epochs: int, folder: Path) -> None:
    data = folder / "copy"
    data.mkdir(exist_ok=True)
    for split, step in (("train", 0), ("val", 1)):
        rows = [f"{i % 10} {i // 10}\t{i % 10}{i // 10}\n" for i in range(100) if (i % 9 == 4) == bool(step)]
        (data / f"{split}.tsv").write_text("source\ttarget\n" + "".join(rows))
    run = tiny.train(
        data, folder / name, KIND, f"model.name={name}", "task.vocabulary=characters", "model.options.width=48",
        "model.options.dropout=0", "task.smoothing=0", "fit.monitor=exact", f"fit.epochs={epochs}", "fit.batch=16",
        "optim.lr=0.005", "task.longest=8",
    )  # fmt: skip
    assert run.metrics["val"]["exact"] >= 0.9


def test_settings_that_mean_nothing_are_refused(folder: Path, run: sightline.Run) -> None:
    with pytest.raises(UsageError, match="no option 'hight'"):
        tiny.train(folder / "pairs", folder / "x", *KEYS, "model.options.hight=3")
    with pytest.raises(UsageError, match=r"task\.kind=classification does not fit the data"):
        tiny.train(folder / "pairs", folder / "x", "task.kind=classification")


def _rows(*pairs: tuple[str, str]) -> TextRows:
    n = len(pairs)
    return TextRows(
        np.arange(n), tuple((truth,) for _, truth in pairs), tuple(answer for answer, _ in pairs), np.ones(n),
        np.full(n, 2.0), np.full(n, 0.5),
    )  # fmt: skip


def test_metrics_of_texts(tmp_path: Path) -> None:
    rows = _rows(("12", "12"), ("19", "91"), ("", "abc"))
    metrics = text_metrics(rows)
    assert metrics["exact"] == pytest.approx(1 / 3)
    assert metrics["character_error"] == pytest.approx((0 + 2 + 3) / 7)
    assert metrics["word_recall"] == pytest.approx(1 / 3)
    assert metrics["loss"] == 0.5
    judgement = judge_texts(rows)
    assert judgement.metrics == metrics and judgement.worst[0] in (1, 2)
    low, high = judgement.intervals["exact"]  # type: ignore[misc]
    assert 0 < low < 1 / 3 < high < 1
    write_text_rows(tmp_path / "t.parquet", rows, names=["a", "b", "c"], classes=())
    again, names, _ = read_text_rows(tmp_path / "t.parquet")
    assert again.answer == rows.answer and again.reference == rows.reference and names == ["a", "b", "c"]


def test_edits() -> None:
    assert [edit_distance(*pair) for pair in (("kitten", "sitting"), ("", "abc"), ("ab", "ba"), ("a", "a"))] == [
        3,
        3,
        2,
        0,
    ]


def test_bleu_equals_sacrebleu() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    answers = ["A man, in 3,000 hats.", "the cat sat", "Dogs run (fast) & far; yes", "x", ""]
    truths = ["A man in 3,000 red hats.", "the cat sat on the mat", "Dogs run fast & far; no", "y z", "nothing"]
    for n in range(1, len(answers) + 1):
        theirs = sacrebleu.corpus_bleu(answers[:n], [truths[:n]]).score / 100
        counts = sum(counts_of(answer, [truth]) for answer, truth in zip(answers[:n], truths[:n], strict=True))
        assert float(bleu(counts)) == pytest.approx(theirs, abs=1e-9)
    two = sacrebleu.corpus_bleu(answers, [truths, truths[::-1]]).score / 100
    pairs = zip(answers, truths, truths[::-1], strict=True)
    assert float(bleu(sum(counts_of(a, [b, c]) for a, b, c in pairs))) == pytest.approx(two, abs=1e-9)


class _State:
    """Tokens 5 and 6: the greedy first step (5) leads to two likely ends, 6 to a certain one."""

    def __init__(self) -> None:
        self.last = torch.tensor([[START]])

    def take(self, rows: torch.Tensor) -> None:
        self.last = self.last[rows] if len(self.last) == int(rows.max()) + 1 else self.last[rows.clamp(max=0)]


def test_beams_find_what_greed_misses() -> None:
    table = torch.full((8, 8), 1e-9)
    table[START, 5], table[START, 6] = 0.55, 0.45
    table[5, 5], table[5, 6], table[5, 7] = 0.4, 0.3, 0.3
    table[6, END] = 1.0
    table[7, END] = 1.0

    def step(token: torch.Tensor, state: object) -> torch.Tensor:
        return table[token[:, -1]].log()

    greedy, p = write(step, _State(), 1, tokens=8, longest=4)
    beam, q = write(step, _State(), 1, tokens=8, longest=4, beams=3)
    assert greedy[0][0] == 5 and beam == [[6]]
    assert float(q) == pytest.approx(0.45, rel=1e-3) and float(q) > float(p)
