"""Pictures in the style of others: figures go to results/style.json, pictures to --runs.

    python benchmarks/style.py        about ten minutes on one thread; $SIGHTLINE_DATA: hymenoptera

Contents are photographs of ants and bees, styles six computed paintings. What is left of content and Gram loss, as a share of
that of noise, in features of efficientnet_lite0: of optimisation on three pairs of 128 pixels; of a feed-forward network for
the second style and of an AdaIN decoder, on the 153 photographs of val, which they never saw. The bar is a fifth of either.
The style loss of the photographs as they are is beside it: noise is far from every picture.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import machine
import numpy as np
from PIL import Image

import sightline
from sightline.runs.console import Console

RESULTS = Path(__file__).parents[1] / "results"
LEFT = 0.2  # share of each loss that may be left
SIDE, STEPS = 128, 200  # of optimisation
QUIET = Console(level=-1)
KEYS = {"task.kind": "style", "input.size": 96, "fit.threads": 1, "fit.device": "cpu"}
METHODS = {"feedforward": {"task.style_weight": 3.0}, "adain": {"task.style_weight": 3.0}}
EPOCHS = 12.0
ART = 256  # pixels of a painting's side


def paintings(folder: Path) -> list[Path]:
    """Six of them: rectangles, cells, waves, dots, strokes and rings."""
    folder.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:ART, :ART] / ART
    makers = (_rectangles, _cells, _waves, _dots, _strokes, _rings)
    files = []
    for number, maker in enumerate(makers):
        image = np.clip(maker(x, y, np.random.default_rng(number)), 0, 1)
        files.append(folder / f"{number}{maker.__name__}.png")
        Image.fromarray(np.rint(255 * image).astype(np.uint8)).save(files[-1])
    return files


def _palette(draw: np.random.Generator, n: int) -> np.ndarray:
    hue = draw.uniform(0, 1) + np.arange(n) / n * draw.uniform(0.3, 1)
    return 0.5 + 0.45 * np.cos(2 * np.pi * (hue[:, None] + np.array([0, 1 / 3, 2 / 3])))


def _rectangles(x: np.ndarray, y: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    edges = [np.sort(draw.uniform(0, 1, 7)) for _ in range(2)]
    i, j = (np.searchsorted(e, v) for e, v in zip(edges, (x, y), strict=True))
    colours = np.array([[0.95, 0.93, 0.88], [0.85, 0.1, 0.1], [0.1, 0.2, 0.7], [0.95, 0.8, 0.1], [0.95, 0.93, 0.88]])
    image = colours[draw.integers(0, 5, (8, 8))[i, j]]
    lines = np.min([np.abs(v[..., None] - e).min(-1) for e, v in zip(edges, (x, y), strict=True)], 0) < 0.012
    image[lines] = 0.05
    return image


def _cells(x: np.ndarray, y: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    place = draw.uniform(0, 1, (90, 2))
    away = np.hypot(x[..., None] - place[:, 0], y[..., None] - place[:, 1])
    order = np.sort(away, -1)
    image = _palette(draw, 90)[away.argmin(-1)]
    image[order[..., 1] - order[..., 0] < 0.01] = 0.1
    return image


def _waves(x: np.ndarray, y: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    bend = sum(np.sin(2 * np.pi * (a * x + b * y + c)) / 8 for a, b, c in draw.uniform(-2, 2, (6, 3)))
    return _palette(draw, 12)[np.floor((y + bend) * 24).astype(int) % 12]


def _dots(x: np.ndarray, y: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    image = np.ones((*x.shape, 3)) * [0.95, 0.9, 0.75]
    for colour in _palette(draw, 500):
        a, b = draw.uniform(0, 1, 2)
        image[np.hypot(x - a, y - b) < draw.uniform(0.008, 0.03)] = colour
    return image


def _strokes(x: np.ndarray, y: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    image = np.ones((*x.shape, 3)) * 0.3
    for colour in _palette(draw, 700):
        a, b = draw.uniform(0, 1, 2)
        turn = 3 * np.sin(3 * a) + 2 * np.cos(4 * b)
        along, across = (x - a) * np.cos(turn) + (y - b) * np.sin(turn), (y - b) * np.cos(turn) - (x - a) * np.sin(turn)
        image[(np.abs(along) < 0.05) & (np.abs(across) < 0.008)] = colour
    return image


def _rings(x: np.ndarray, y: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    place = draw.uniform(0, 1, (6, 2))
    away = np.hypot(x[..., None] - place[:, 0], y[..., None] - place[:, 1]).min(-1)
    return _palette(draw, 8)[np.floor(away * 40).astype(int) % 8]


def optimised(folder: Path, styles: list[Path], steps: int) -> list[dict[str, Any]]:
    photographs = sorted((Path(os.environ["SIGHTLINE_DATA"]) / "hymenoptera/val/bees").iterdir())
    rows = []
    for content, style in zip(photographs[:3], styles[:3], strict=True):
        start = time.process_time()
        out = folder / "optimised" / f"{content.stem}-{style.stem}.png"
        made = sightline.stylise(content, style, out=out, size=SIDE, steps=steps, console=QUIET)
        row = {"style": style.stem, "content_left": made["content_left"], "style_left": made["style_left"]}
        seconds = round(time.process_time() - start, 1)
        rows.append({**row, "cpu_seconds": seconds, "passed": max(made["content_left"], made["style_left"]) <= LEFT})
    return rows


def trained(folder: Path, styles: list[Path], method: str, epochs: float) -> dict[str, Any]:
    data = Path(os.environ["SIGHTLINE_DATA"]) / "hymenoptera"
    style = styles[0].parent if method == "adain" else styles[1]
    settings = KEYS | METHODS[method] | {"task.method": method, "task.style": str(style)}
    start, wall = time.process_time(), time.perf_counter()
    run = sightline.train(data, settings, epochs=epochs, out=folder / method, console=Console())
    seconds = {
        "cpu_seconds": round(time.process_time() - start, 1),
        "wall_seconds": round(time.perf_counter() - wall, 1),
    }
    judgement = sightline.evaluate(run, split="val", console=QUIET).judgement.to_json()
    pictures = sorted((data / "val/bees").iterdir())[:6]
    sightline.predict(run, pictures, out=folder / f"{method}-made", draw=folder / f"{method}-pairs", console=QUIET)
    if method == "adain":
        for path in styles:
            out = folder / "adain-styles" / f"{path.stem}.png"
            sightline.stylise(pictures[0], path, out=out, run=run, console=QUIET)
    metrics = judgement["metrics"]
    shown = {k: v for k, v in settings.items() if k != "task.style"} | {"styles": style.stem, "epochs": epochs}
    passed = max(metrics["content_left"], metrics["style_left"]) <= LEFT
    return {"settings": shown, **seconds, "n": judgement["n"], "metrics": metrics, "intervals": judgement["intervals"],
            "passed": passed}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=float, default=EPOCHS)
    parser.add_argument("--steps", type=int, default=STEPS, help="of optimisation")
    parser.add_argument("--runs", type=Path, default=Path("runs/style"), help="where runs and pictures are kept")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    styles = paintings(options.runs / "styles")
    results = {
        "command": "python benchmarks/style.py",
        "machine": machine.described(),
        "features": "efficientnet_lite0",
    }
    results["optimised"] = optimised(options.runs, styles, options.steps)
    for method in METHODS:
        results[method] = trained(options.runs, styles, method, options.epochs)
    (options.out / "style.json").write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
