"""Translations against known truth, and facades to look at. Figures go to results/translation-<what>.json, pictures to --runs.

    python benchmarks/translation.py digits     MNIST to inverted, coloured digits and back, by CycleGAN from digits that are no
                                                pairs; at most eight minutes on one thread; $SIGHTLINE_DATA: mnist
    python benchmarks/translation.py facades    label maps to photographs by pix2pix, and by CycleGAN, which does not use the
                                                pairing; about 30 minutes each on one thread; $SIGHTLINE_DATA: facades
    python benchmarks/translation.py style      a photograph in the style of another, in features of efficientnet_lite0, five to
                                                ten minutes; $SIGHTLINE_DATA: photos
    python benchmarks/translation.py digits --epochs 0.2 --out /tmp/figures

`digits`: 2,000 digits of each domain, none in both, for training and 200 for validation, so that no pairing chooses weights;
300 test digits have their true partner. The bars are 20 dB in either direction and a way back that rounding does not spoil.
`facades`: the published split; PSNR, SSIM and mean difference to the true photographs, beside those of the mean photograph.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import illnesses
import machine
import numpy as np
import torch
from PIL import Image

import sightline
from sightline.kinds.networks import load_task
from sightline.kinds.pretrained import open_run_or_model
from sightline.metrics.generation.pictures import mean_difference, psnr, ssim
from sightline.runs.console import Console
from sightline.sampling.style import stylised

RESULTS = Path(__file__).parents[1] / "results"
TRAIN, VAL, TEST = 2_000, 200, 300  # digits of each domain
DECIBELS, MINUTES, ROUNDING = 20.0, 8.0, 1.5
TINT = np.array([1.0, 0.5, 0.2])  # of the inverted digits: dark blue on white
SETTINGS = {
    "task.kind": "translation", "fit.threads": 1, "fit.device": "cpu", "fit.precision": "fp32",
}  # fmt: skip
DIGITS = {"task.method": "cyclegan", "task.source": "plain", "model.options.base": 16, "model.options.blocks": 3}
STYLED, STEPS, LEFT = 160, 200, 0.2  # pixels, steps, share of each loss that may be left
EPOCHS = {"digits": 4.0, "pix2pix": 20.0, "cyclegan": 10.0}


def plain(digit: np.ndarray) -> np.ndarray:
    """White on black, (h, w) → (h, w, 3)."""
    return np.repeat(digit[..., None], 3, axis=2)


def tinted(digit: np.ndarray) -> np.ndarray:
    """Blue on white: the partner."""
    return np.rint(255 - digit[..., None] * TINT).astype(np.uint8)


def write_digits(folder: Path) -> Path:
    """train and val without partners, test with."""
    train, test = illnesses.mnist("train")[0], illnesses.mnist("test")[0]
    n = TRAIN + VAL
    parts = {
        "train": (train[:TRAIN], train[n : n + TRAIN]),
        "val": (train[TRAIN:n], train[n + TRAIN : 2 * n]),
        "test": (test[:TEST], test[:TEST]),
    }
    for split, sides in parts.items():
        for domain, make, digits in zip(("plain", "tinted"), (plain, tinted), sides, strict=True):
            place = folder / split / domain
            place.mkdir(parents=True, exist_ok=True)
            for i, digit in enumerate(digits):
                name = f"{i:04d}.png" if split == "test" else f"{domain}{i:04d}.png"
                Image.fromarray(make(digit)).save(place / name)
    return folder


def trained(data: Path, out: Path, epochs: float, settings: dict[str, Any]) -> tuple[sightline.Run, dict[str, float]]:
    start, wall = time.process_time(), time.perf_counter()
    run = sightline.train(data, SETTINGS | settings, epochs=epochs, out=out, console=Console(level=-1))
    return run, {
        "cpu_seconds": round(time.process_time() - start, 1),
        "wall_seconds": round(time.perf_counter() - wall, 1),
    }


def figures(run: sightline.Run, source: Path, folder: Path) -> dict[str, Any]:
    """The judgement of test; translations of its source are written to look at."""
    judgement = sightline.evaluate(run, split="test", console=Console(level=-1)).judgement.to_json()
    sightline.predict(run, source, out=folder / "made", draw=folder / "pairs", console=Console(level=-1))
    return {"n": judgement["n"], **{k: judgement[k] for k in ("metrics", "intervals", "per_class")}}


def digits(folder: Path, epochs: float | None) -> dict[str, Any]:
    data = folder / "digits"
    if not data.exists():
        write_digits(data)
    run, seconds = trained(data, folder / "digits-cyclegan", epochs or EPOCHS["digits"], DIGITS)
    found = {"settings": DIGITS, **seconds, **figures(run, data / "test" / "plain", folder / "digits-seen")}
    back = found["metrics"]
    found["passed"] = bool(
        all(row["psnr"] >= DECIBELS for row in found["per_class"].values())
        and back["rounded_cycle_l1"] <= max(ROUNDING * back["cycle_l1"], back["cycle_l1"] + 1)
        and seconds["cpu_seconds"] <= 60 * MINUTES
    )
    return found


def constant(data: Path) -> dict[str, float]:
    """The mean training photograph as the answer for every test image."""

    def photographs(split: str) -> torch.Tensor:
        paths = sorted((data / split / "photo").iterdir())
        return torch.from_numpy(np.stack([np.asarray(Image.open(p).convert("RGB")) for p in paths])).permute(0, 3, 1, 2)

    true = photographs("test").float()
    mean = photographs("train").float().mean(0).round().expand_as(true)
    measures = {"psnr": psnr, "ssim": ssim, "l1": mean_difference}
    return {name: float(measure(mean, true).mean()) for name, measure in measures.items()}


def facades(folder: Path, epochs: float | None) -> dict[str, Any]:
    data = Path(os.environ["SIGHTLINE_DATA"]) / "facades"
    found: dict[str, Any] = {"mean_photograph": constant(data)}
    for method in ("pix2pix", "cyclegan"):
        settings = {"task.method": method, "task.source": "label"}
        out = folder / f"facades-{method}"
        run, seconds = trained(data, out, epochs or EPOCHS[method], settings)
        seen = figures(run, data / "test" / "label", folder / f"facades-{method}-seen")
        found[method] = {"settings": settings, **seconds, **seen}
    return found


def style(folder: Path, steps: float | None) -> dict[str, Any]:
    """Three pairs of photographs: what is left of both losses after L-BFGS, at most a fifth by the bar."""
    run = open_run_or_model("efficientnet_lite0")
    model = load_task(run).eval().requires_grad_(False).model
    paths = sorted((Path(os.environ["SIGHTLINE_DATA"]) / "photos").glob("*.JPEG"))

    def features(levels: torch.Tensor) -> list[torch.Tensor]:
        return model.network.features(model.normalise(levels))[:4]

    def read(path: Path) -> torch.Tensor:
        picture = Image.open(path).convert("RGB").resize((STYLED, STYLED))
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1)

    found = []
    for one, other in zip(paths[0:3], paths[3:6], strict=True):
        start = time.process_time()
        made = stylised(features, read(one), read(other), content_layer=2, steps=int(steps or STEPS))
        Image.fromarray(made.image.permute(1, 2, 0).numpy()).save(folder / f"{one.stem}-as-{other.stem}.png")
        seconds = round(time.process_time() - start, 1)
        row = {"content": one.stem, "style": other.stem, "content_left": made.content, "style_left": made.style}
        found.append({**row, "cpu_seconds": seconds, "passed": max(made.content, made.style) <= LEFT})
    return {"steps": int(steps or STEPS), "side": STYLED, "pairs": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("digits", "facades", "style"))
    parser.add_argument("--epochs", type=float, help="of style, its steps")
    parser.add_argument("--runs", type=Path, default=Path("runs/translation"), help="where data and runs are kept")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    options.out.mkdir(parents=True, exist_ok=True)
    found = {"digits": digits, "facades": facades, "style": style}[options.what](options.runs, options.epochs)
    results = {"machine": machine.described(), **found}
    (options.out / f"translation-{options.what}.json").write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
