"""kill -9 at random moments: every run ends bit-identical to one that nobody touched.

`make faults` runs it and records the figures; SIGHTLINE_KILLS sets how many (30).
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from sightline.storage.folders import newest_good

from .runs import DETECTORS, TASKS, command, environment, finish, litter, outcome

KILLS = int(os.environ.get("SIGHTLINE_KILLS", "30"))
# Task → kills, and runs that share them: each is killed several times before it may end.
SHARES = {
    "classification": (KILLS, 6),
    **dict.fromkeys(("segmentation", "detection", "single shot", "instances", "mosaic", "mixed"), (KILLS // 3, 3)),
    **dict.fromkeys(
        ("localisation", "unpooling", "atrous pyramid", "three scales", "given regions", "fitted", *DETECTORS),
        (max(KILLS // 6, 1), 1),
    ),
}
SEED = 20

pytestmark = pytest.mark.slow


def status(out: Path) -> dict[str, object]:
    try:
        return dict(json.loads((out / "run.json").read_text()))
    except (OSError, ValueError):
        return {}


def killed_while_training(data: Path, out: Path, cache: Path, workers: int, delay: float, task: str) -> bool:
    """Start the run, kill it `delay` seconds after its first steps; or resume it, and kill it so long after it could go
    on. Was it between two steps?"""
    before = status(out)
    log = out / "metrics.jsonl"
    size = log.stat().st_size if log.exists() else 0
    child = subprocess.Popen(
        command(data, out, workers=workers, task=task),
        env=environment(cache),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        began = (out / "run.json").stat().st_mtime_ns if before else 0
        while child.poll() is None:  # run.json is written again when the loop is about to start
            now = status(out)
            if now.get("status") == "running" and (out / "run.json").stat().st_mtime_ns > began and (
                (out / "samples" / "batch.png").exists() and (any((out / "checkpoints").glob("step-*")) or log.exists())
            ):  # fmt: skip
                break
            time.sleep(0.005)
        time.sleep(delay)
    finally:
        child.kill()
        child.wait()
    found = newest_good(out / "checkpoints")
    stepped = log.exists() and log.stat().st_size != size
    unfinished = child.returncode == -9 and status(out).get("status") == "running"
    return unfinished and (stepped or found.folder is not None)


@pytest.mark.parametrize("task", list(SHARES))
def test_kills(task: str, tmp_path: Path) -> None:
    draw, (all_kills, chains) = random.Random(SEED), SHARES[task]
    data, cache = tmp_path / "data", tmp_path / "cache"
    (TASKS | DETECTORS)[task][0](data)
    start = time.perf_counter()
    untouched = tmp_path / "untouched"
    done = finish(data, untouched, cache, workers=0, task=task)
    assert done.returncode == 0, done.stderr
    expected = outcome(untouched)
    seconds = sum(json.loads(line)["seconds"] for line in (untouched / "timing.jsonl").read_text().splitlines())

    landed = total = 0
    for chain in range(chains):
        out = tmp_path / f"chain-{chain}"
        kills = all_kills // chains + (chain < all_kills % chains)
        for _ in range(kills):
            delay = draw.uniform(0, 0.9 * seconds / kills)
            landed += killed_while_training(data, out, cache, chain % 3, delay, task)
        total += kills
        done = finish(data, out, cache, workers=chain % 3, task=task)
        assert done.returncode == 0, done.stderr
        assert outcome(out) == expected, f"chain {chain} with {chain % 3} workers"
        assert not litter(out)
    figures = {"task": task, "kills": total, "between_first_and_last_step": landed, "runs": chains, "identical": chains}
    print(json.dumps(figures | {"seed": SEED, "seconds": round(time.perf_counter() - start)}))
    assert 30 * landed >= 25 * total
