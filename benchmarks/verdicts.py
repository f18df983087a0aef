"""Eight trainings with one known illness each: does the verdict name it? Figures go to results/verdicts.json.

    python benchmarks/verdicts.py [NAME …]

Pictures are generated: 16x16, grey, a pattern a class (stripes in four directions) under noise. Each training takes seconds on
one core. A case says by its meaning what the verdict must hold: words of the finding that names the illness, what must be
advised first, and what must not be advised or claimed.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import sightline
from sightline.errors import DivergedError
from sightline.kinds.reporting import chapter_of, content_of
from sightline.reports.facts import facts_of
from sightline.reports.verdict import Verdict, verdict
from sightline.runs.console import Console

SIDE = 16


def stripes(
    kind: int, rng: np.random.Generator, *, noise: float, contrast: float = 40.0, phase: bool = True
) -> np.ndarray:
    """Stripes across, along, or along one of the diagonals, at a random place unless `phase` is off."""
    y, x = np.mgrid[:SIDE, :SIDE]
    along = (x, y, x + y, x - y)[kind % 4]
    shift = rng.uniform(0, 2 * np.pi) if phase else 0.0
    wave = contrast * np.sin(2 * np.pi * along / (4 + 3 * (kind // 4)) + shift)
    return np.clip(128 + wave + noise * rng.normal(size=(SIDE, SIDE)), 0, 255).astype(np.uint8)


def write(
    folder: Path, counts: dict[str, int], draw: Callable[[str, np.random.Generator], np.ndarray], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    for name, count in counts.items():
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.fromarray(draw(name.split("/")[-1], rng)).save(place / f"{i:04d}.png")


def classes(noise: float, **more: Any) -> Callable[[str, np.random.Generator], np.ndarray]:
    return lambda name, rng: stripes("abcdefgh".index(name), rng, noise=noise, **more)


def plain(folder: Path, count: int = 150, noise: float = 30.0) -> None:
    write(folder, dict.fromkeys("abcd", count), classes(noise), 0)


def mislabelled(folder: Path) -> None:
    """A quarter of the labels of every class are another's."""
    rng = np.random.default_rng(0)
    for name in "abcd":
        (folder / name).mkdir(parents=True)
    for i in range(1600):
        kind = i % 4
        label = kind if rng.random() >= 0.25 else (kind + int(rng.integers(1, 4))) % 4
        Image.fromarray(stripes(kind, rng, noise=20.0, phase=False)).save(folder / "abcd"[label] / f"{i:04d}.png")


def mirrored(folder: Path) -> None:
    """Stripes, and as often their negative: no linear network can tell the directions apart."""
    write(
        folder, dict.fromkeys("abcd", 1500),
        lambda name, rng: stripes("abcd".index(name), rng, noise=25.0, contrast=float(rng.choice([-40, 40])), phase=False), 0,
    )  # fmt: skip


def leaked(folder: Path) -> None:
    write(folder / "train", dict.fromkeys("abcd", 60), classes(40.0), 0)
    write(folder / "test", dict.fromkeys("abcd", 20), classes(40.0), 1)
    for name in "abcd":
        for i in range(15):
            target = folder / "test" / name / f"copy{i}.png"
            target.write_bytes((folder / "train" / name / f"{i:04d}.png").read_bytes())


@dataclass(frozen=True)
class Case:
    """data      writes the pictures
    settings   of the recipe
    finding    a word of the titles of the finding that names the illness
    first      what must be advised first by it ("" if it needs no advice)
    never      words that no title or advice may hold
    limit      a word of the limiting factor, "" if none is required"""

    data: Callable[[Path], None]
    settings: dict[str, Any]
    finding: str
    first: str = ""
    never: tuple[str, ...] = ()
    limit: str = ""
    model: str = "lenet5"
    epochs: float = 10
    lr: float | None = None
    more: dict[str, Any] = field(default_factory=dict)


CALM = {"augment.preset": "none", "fit.threads": 1, "fit.device": "cpu"}
CASES = {
    "under-fit": Case(
        mirrored, {}, "Underfitting", never=("Overfitting", "it has learned"), limit="bias", model="linear", epochs=5,
    ),
    "over-fit": Case(
        lambda folder: plain(folder, 40, noise=70.0), {}, "Overfitting", never=("larger network",), limit="variance",
        model="mlp", epochs=60,
    ),
    "too short": Case(
        plain, {}, "too briefly", "Train longer", never=("larger network", "Overfitting"), limit="training time", epochs=0.22,
    ),
    "majority class": Case(
        lambda folder: write(folder, {"a": 540, "b": 60}, lambda name, rng: stripes(0, rng, noise=60.0), 0), {},
        "predicts", never=("larger network", "it has learned"), epochs=6,
    ),
    "diverged": Case(
        plain, {}, "diverged", "Lower the learning rate", never=("larger network", "Train longer", "Overfitting"), lr=1000.0,
    ),
    "label noise": Case(
        mislabelled, {}, "labels may be wrong", never=("larger network",), limit="noise", epochs=10,
    ),
    "leak": Case(
        leaked, {"data.leaks": "keep"}, "trained on", "Remove the copies", limit="data", epochs=20,
    ),
    "tiny test": Case(
        lambda folder: write(folder, dict.fromkeys("abcd", 12), classes(40.0, phase=False), 0),
        {},
        "Few test images",
        never=("No better than guessing", "too briefly"),
        epochs=200,
    ),
}  # fmt: skip


def run_case(case: Case, folder: Path) -> tuple[Verdict, list[str]]:
    """The verdict, and the lines of the training's log."""
    case.data(folder / "data")
    out = folder / "run"
    settings = {**CALM, **case.settings, **case.more}
    with suppress(DivergedError):  # the folder says so
        sightline.train(
            folder / "data",
            settings,
            model=case.model,
            epochs=case.epochs,
            lr=case.lr,
            out=out,
            console=Console(level=-1),
        )
    chapter = chapter_of(out)
    return verdict(facts_of(content_of(out), chapter), chapter), (out / "log.txt").read_text().splitlines()


def faults(case: Case, found: Verdict) -> list[str]:
    """What the verdict lacks, or claims wrongly."""
    wrong = []
    named = [f for f in found.findings if case.finding.lower() in f.title.lower()]
    if not named:
        wrong.append(f"no finding says {case.finding!r}")
    if case.first and named and (not named[0].try_next or case.first not in named[0].try_next[0].what):
        wrong.append(f"its first advice is not {case.first!r}")
    if case.limit and case.limit not in found.limit:
        wrong.append(f"the limit is {found.limit!r}")
    said = " ".join([f.title + " " + " ".join(t.what for t in f.try_next) for f in found.findings])
    wrong += [f"it says {words!r}" for words in case.never if words in said]
    return wrong


def main(names: list[str]) -> None:
    results = {}
    for name in names or CASES:
        start = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            found, lines = run_case(CASES[name], Path(folder))
        wrong = faults(CASES[name], found)
        results[name] = {
            "right": not wrong,
            "faults": wrong,
            "headline": found.headline,
            "limit": found.limit,
            "findings": [[f.severity, f.title, f.sentence, [t.what for t in f.try_next]] for f in found.findings],
            "warned": [line.split(" ", 2)[-1] for line in lines if "diverg" in line],
            "seconds": round(time.process_time() - start, 1),
        }
        print(json.dumps({name: results[name]}, indent=1, ensure_ascii=False), flush=True)
    if not names:
        where = Path(__file__).parents[1] / "results" / "verdicts.json"
        where.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    if any(result["faults"] for result in results.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
