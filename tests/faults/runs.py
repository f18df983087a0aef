"""A small real run to be hurt: a folder of JPEGs, nothing cached, accumulation 2, the average on, commits in mid-epoch."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

EPOCHS, BATCH = 8, 16


def write_jpegs(folder: Path, count: int = 180) -> None:
    """Three classes of 24x24 colour JPEGs: a bright bar in one of three places, on noise."""
    draw = np.random.default_rng(0)
    for i in range(count):
        kind = ("left", "middle", "right")[i % 3]
        pixels = draw.integers(0, 120, (24, 24, 3), dtype=np.uint8)
        pixels[:, 8 * (i % 3) : 8 * (i % 3) + 8] += 100
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / kind / f"{i:04d}.jpg", quality=92)


def command(data: Path, out: Path, *, workers: int = 1) -> list[str]:
    """The same run whatever the workers: they are no part of what it computes."""
    keys = [
        "input.size=16", "data.cache=off", f"data.workers={workers}", f"fit.epochs={EPOCHS}", f"fit.batch={BATCH}",
        "fit.accumulate=2", "fit.ema=0.9", "fit.commit_every=5", "fit.threads=1", "fit.precision=fp32",
    ]  # fmt: skip
    return [sys.executable, "-m", "sightline", "train", str(data), "-m", "resnet20", "--out", str(out), "-q", *keys]


def environment(cache: Path) -> dict[str, str]:
    return os.environ | {"SIGHTLINE_CACHE": str(cache), "OMP_NUM_THREADS": "1"}


def finish(data: Path, out: Path, cache: Path, *, workers: int = 1) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(data, out, workers=workers), env=environment(cache), capture_output=True, text=True, check=False
    )


def outcome(out: Path) -> dict[str, object]:
    """Everything that must be equal between two runs: weights, average, optimiser, state, history, logs, metrics."""
    newest = max((out / "checkpoints").glob("step-*"))
    names = ["history.csv", "metrics.jsonl", "metrics.json", "model/model.safetensors", "predictions/test.parquet"]
    files = {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in names}
    return {"step": newest.name, **json.loads((newest / "manifest.json").read_text())["files"], **files}


def litter(out: Path) -> list[str]:
    """Unfinished pieces that a finished run must not contain."""
    return [str(p.relative_to(out)) for p in out.rglob(".tmp-*")]
