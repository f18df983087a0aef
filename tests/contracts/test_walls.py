"""The walls: six unlike tasks go through the real Batch, Task, fit, commit and resume without special cases.

Each is killed by SIGKILL inside an epoch and inside an accumulated step, goes on from its newest commit, and must end
in the same bytes as a run that nobody touched: weights, average, optimiser, history, log.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sightline.errors import UsageError
from sightline.storage.folders import newest_good, read_manifest
from tests import walls


def ended(folder: Path) -> dict[str, object]:
    """What must be equal: the hashes of every file of the last commit, and the log."""
    manifest = read_manifest(folder / f"step-{walls.STEPS:08d}")
    return {"files": manifest["files"], "log": (folder / "metrics.jsonl").read_text(), "marks": manifest["logs"]}


@pytest.mark.parametrize("name", walls.TOYS)
def test_killed_and_resumed_is_bit_identical(name: str, tmp_path: Path) -> None:
    untouched, killed = tmp_path / "untouched", tmp_path / "killed"
    untouched.mkdir()
    killed.mkdir()
    walls.train(name, untouched)

    turns = len(walls.TOYS[name][0].turns)
    kill_at = 7 * turns * walls.ACCUMULATE + 1  # step 7, after its first micro-batch; the last commit is step 6
    assert (kill_at * walls.MICRO) % walls.N not in (0, walls.N - 1), "the kill must lie inside an epoch"
    child = subprocess.run([sys.executable, walls.__file__, name, str(killed), str(kill_at)], check=False)
    assert child.returncode == -9
    assert newest_good(killed).manifest["step"] == 6

    walls.train(name, killed, workers=2)
    assert ended(killed) == ended(untouched)


def test_the_critic_sees_five_different_real_batches_a_step(tmp_path: Path) -> None:
    task = walls.train("gan", tmp_path)
    assert isinstance(task, walls.Gan)
    seen = [p for batch in task.seen for p in batch]
    assert len(seen) == walls.STEPS * 5 * walls.ACCUMULATE * walls.MICRO
    assert len(set(seen)) == len(seen)  # no position of the stream is drawn twice


def test_accumulation_is_exact_when_little_is_known(tmp_path: Path) -> None:
    """Two micro-batches of four with unequal numbers of known answers descend the loss of the batch of eight.

    By SGD: RMSProp divides by the root of tiny squares and so blows up the last bits of a sum in another order."""
    weights = []
    for accumulate in (1, 2):
        folder = tmp_path / str(accumulate)
        folder.mkdir()
        task = walls.train("two_questions", folder, accumulate=accumulate, by="sgd")
        weights.append(torch.cat([p.detach().flatten() for p in task.parameters()]))
    assert (weights[0] - weights[1]).abs().max().item() < 1e-6


def test_a_coupled_task_refuses_accumulation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walls.Siamese, "coupled", True)
    with pytest.raises(UsageError, match="accumulat"):
        walls.train("siamese", tmp_path)
