"""SIGTERM at random moments: at most ten seconds to the end, the interrupted step kept, and in the end the same bits.

`make faults` runs it and records the figures; SIGHTLINE_SIGNALS sets how many (30).
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from sightline.storage.folders import newest_good

from .runs import command, environment, finish, litter, outcome, write_jpegs

SIGNALS = int(os.environ.get("SIGHTLINE_SIGNALS", "30"))
GRACE = 10.0  # seconds: what queues commonly give
SEED = 21
COMPARED = ("history.csv", "metrics.jsonl", "metrics.json", "model/model.safetensors", "predictions/test.parquet")

pytestmark = pytest.mark.slow


def steps_said(out: Path) -> int:
    log = out / "metrics.jsonl"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_signals(tmp_path: Path) -> None:
    draw, data, cache = random.Random(SEED), tmp_path / "data", tmp_path / "cache"
    write_jpegs(data)
    untouched = tmp_path / "untouched"
    assert finish(data, untouched, cache).returncode == 0
    expected = {name: outcome(untouched)[name] for name in COMPARED}
    seconds = sum(json.loads(line)["seconds"] for line in (untouched / "timing.jsonl").read_text().splitlines())
    start, landed, slowest, number = time.perf_counter(), 0, 0.0, 0
    while landed < SIGNALS:
        out, number = tmp_path / f"run-{number}", number + 1
        while True:
            child = subprocess.Popen(command(data, out), env=environment(cache), stderr=subprocess.PIPE, text=True)
            said, deadline = steps_said(out), time.monotonic() + draw.uniform(0.0, seconds / 3)
            while child.poll() is None and (steps_said(out) == said or time.monotonic() < deadline):
                time.sleep(0.002)  # once it has made steps, for a while more
            sent = time.monotonic()
            child.send_signal(signal.SIGTERM)
            told = child.communicate(timeout=60)[1]
            if child.returncode != 143 or "is kept" not in told:  # it had ended, or was past its last step
                assert child.returncode in (0, -signal.SIGTERM, 143), told
                break
            landed, slowest = landed + 1, max(slowest, time.monotonic() - sent)
            step = json.loads((out / "run.json").read_text())["step"]
            assert newest_good(out / "checkpoints").manifest["step"] == step
        done = finish(data, out, cache)
        assert done.returncode == 0 or "holds a finished run" in done.stderr, done.stderr
        assert {name: outcome(out)[name] for name in COMPARED} == expected
        assert not litter(out)
    print(json.dumps({"signals": landed, "runs": number, "identical": number, "slowest_seconds": round(slowest, 2),
                      "seconds": round(time.perf_counter() - start)}))  # fmt: skip
    assert slowest <= GRACE
