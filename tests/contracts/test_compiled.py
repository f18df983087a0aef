"""The smallest network of each family compiles as one graph and exports strictly, with any batch; a run trains compiled."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.runs import outcome
from tests.smallest import SMALLEST

CHUNKS = 4  # a process each; the first by default, all of them and every classifier by `make contracts`


@pytest.mark.parametrize("chunk", [0, *(pytest.param(i, marks=pytest.mark.slow) for i in range(1, CHUNKS))])
def test_every_family_compiles_and_exports(chunk: int) -> None:
    names = sorted(SMALLEST)[chunk::CHUNKS]
    command = [sys.executable, "-m", "tests.compiled", "aot_eager", *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = {line["name"]: line["error"] for line in map(json.loads, done.stdout.splitlines())}
    assert list(found) == names
    assert {name: error for name, error in found.items() if error} == {}


def test_a_compiled_run_that_is_killed_ends_in_the_same_bits(tmp_path: Path) -> None:
    """And what it saves are the network's own names: it evaluates and resumes without compiling anything else."""

    def started(name: str) -> subprocess.Popen[str]:
        keys = ["fit.compile=true", "fit.epochs=6", "fit.commit_every=3", "fit.threads=1", "fit.ema=0.9", "-q"]
        command = [sys.executable, "-m", "sightline", "train", "digits", *keys, "--out", str(tmp_path / name)]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def finished(name: str) -> None:
        process = started(name)
        _, said = process.communicate()
        assert process.returncode == 0, said

    finished("untouched")
    process = started("killed")
    while process.poll() is None and len(list(tmp_path.glob("killed/checkpoints/step-*/manifest.json"))) < 2:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert json.loads((tmp_path / "killed" / "run.json").read_text())["status"] == "running"
    finished("killed")
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "untouched")
    manifest = max((tmp_path / "killed" / "checkpoints").glob("step-*/manifest.json"))
    assert json.loads(manifest.read_text())["fingerprint"]["compile"] is True
