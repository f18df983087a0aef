"""Texts, and images with texts: what each kind reaches on generated data, whose truth is known, and on real ones.

    python benchmarks/language.py [PART …]        needs $SIGHTLINE_DATA

    dates       10,000 generated dates and numbers, in words and in digits: exact answers on 1,000 unseen ones
    pairs       English to French, 20,000 pairs of real descriptions: BLEU on 700
    captchas    6,000 generated captchas: exact answers on 600 with unseen texts
    captcha     700 real ones: exact answers on 150 that training did not see

Each part is one training with one thread; its figures, command and seconds go to results/language.json as it ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from machine import described
from sentences import write_captchas, write_pairs

RESULTS = Path(__file__).parents[1] / "results" / "language.json"
ONE_THREAD = ("fit.device=cpu", "fit.threads=1")


def real(name: str) -> Path:
    return Path(os.environ["SIGHTLINE_DATA"]) / name


def train(data: Path, out: Path, *keys: str) -> dict[str, Any]:
    """One training and the judgement of its test split."""
    command = [sys.executable, "-m", "sightline", "train", str(data), *keys, *ONE_THREAD, "--out", str(out)]
    begun = time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    seconds = round(time.monotonic() - begun)
    judged = subprocess.run(
        [sys.executable, "-m", "sightline", "evaluate", str(out), "--json"], stdout=subprocess.PIPE, check=True
    )
    found = json.loads(judged.stdout)
    shown = ["sightline", "train", data.name, *keys, *ONE_THREAD]
    return {"command": shown, "seconds": seconds, **{k: found[k] for k in ("n", "metrics", "intervals")}}


def dates(folder: Path) -> dict[str, Any]:
    data = write_pairs(folder / "dates", 10_000)
    return train(
        data, folder / "run", "task.kind=translation_text", "task.vocabulary=characters", "task.tokens=100",
        "task.smoothing=0", "task.longest=72", "fit.monitor=exact", "model.options.width=96", "model.options.depth=2",
        "optim.lr=0.002", "fit.epochs=20",
    )  # fmt: skip


def pairs(folder: Path) -> dict[str, Any]:
    return train(
        real("translation"), folder / "run", "task.kind=translation_text", "data.leaks=drop", "task.longest=32",
        "model.options.width=192", "model.options.depth=2", "fit.epochs=8", "optim.lr=0.001",
    )  # fmt: skip


def captchas(folder: Path) -> dict[str, Any]:
    return train(write_captchas(folder / "captchas", 6_000), folder / "run", "task.kind=reading", "fit.epochs=14")


def captcha(folder: Path) -> dict[str, Any]:
    return train(real("captcha"), folder / "run", "task.kind=reading")


PARTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "dates": dates,
    "pairs": pairs,
    "captchas": captchas,
    "captcha": captcha,
}


def main() -> None:
    for part in sys.argv[1:] or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            figures = {"machine": described(), "threads": 1, **PARTS[part](Path(folder))}
        print(part, json.dumps(figures), flush=True)
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps(results | {part: figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
