"""Texts, and images with texts: what each kind reaches on generated data, whose truth is known, and on real ones.

    python benchmarks/language.py [PART …]        needs $SIGHTLINE_DATA

    dates       10,000 generated dates and numbers, in words and in digits: exact answers on 1,000 unseen ones
    pairs       English to French, 20,000 pairs of real descriptions: BLEU on 700
    captchas    4,000 generated captchas: exact answers on 400 with unseen texts
    captcha     700 real ones: exact answers on 150 that training did not see
    sentiment   8,530 sentences of film reviews: accuracy on 1,066, of BERT's form from scratch and of a bag of words

Each part is one training with one thread; its figures, command and seconds go to results/language.json as it ends.
"""

from __future__ import annotations

import json
import os
import resource
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
READER = (
    "task.kind=reading", "model.options.width=16", "model.options.hidden=64", "optim.lr=0.004", "fit.batch=64",
)  # fmt: skip


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
        data, folder / "run", "task.kind=translation_text", "task.tokens=360", "task.smoothing=0", "task.longest=48",
        "fit.monitor=exact", "model.options.width=64", "model.options.depth=2", "optim.lr=0.003", "fit.epochs=16",
    )  # fmt: skip


def pairs(folder: Path) -> dict[str, Any]:
    return train(
        real("translation"), folder / "run", "task.kind=translation_text", "data.leaks=drop", "task.longest=32",
        "model.options.width=192", "model.options.depth=2", "fit.epochs=8", "optim.lr=0.001",
    )  # fmt: skip


def captchas(folder: Path) -> dict[str, Any]:
    data = write_captchas(folder / "captchas", 4_000)
    return train(data, folder / "run", *READER, "fit.epochs=20")


def captcha(folder: Path) -> dict[str, Any]:
    return train(real("captcha"), folder / "run", *READER, "fit.epochs=90")


def sentiment(folder: Path) -> dict[str, Any]:
    keys = ("task.kind=text_classification", "fit.epochs=2")
    baseline = ("task.kind=text_classification", "model.name=bag_of_words", "optim.lr=0.01", "fit.epochs=2")
    data = real("sentiment")
    return {"bert": train(data, folder / "bert", *keys), "bag_of_words": train(data, folder / "bag", *baseline)}


PARTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "dates": dates,
    "pairs": pairs,
    "captchas": captchas,
    "captcha": captcha,
    "sentiment": sentiment,
}


def cpu_seconds() -> float:
    """Of all trainings and evaluations so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    for part in sys.argv[1:] or PARTS:
        before = cpu_seconds()
        with tempfile.TemporaryDirectory() as folder:
            figures = {"machine": described(), "threads": 1, **PARTS[part](Path(folder))}
        figures["cpu_seconds"] = round(cpu_seconds() - before)
        print(part, json.dumps(figures), flush=True)
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps(results | {part: figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
