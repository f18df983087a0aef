"""Detectors beside each other: boxes found per minute of training, latency of exports, time of a training step.

    python benchmarks/detectors.py bccd [--seeds 0 1 2] [--models yolox_tiny faster_rcnn_resnet18_fpn] [--epochs N]
                                        [--keys augment.preset=driving …] [--runs FOLDER]
    python benchmarks/detectors.py latency
    python benchmarks/detectors.py step

bccd      blood cells from $SIGHTLINE_DATA, each network with its own defaults, from scratch, on one thread: AP and AP50 of the
          test images after every training and its seconds; further recipe keys with `--keys`; `--runs` keeps the run folders
latency   exports of yolox_nano, yolox_tiny and Faster R-CNN at 416 x 416 with random weights, batch 1, one thread, median
step      forward, loss and backward of yolox_tiny; no permissive peer is measured beside it yet

Figures go to results/detectors.json, each part as it is measured. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import described

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "detectors.json"
SIDE = 416


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=("bccd", "latency", "step"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", default=["yolox_tiny", "faster_rcnn_resnet18_fpn"])
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--keys", nargs="+", default=[])
    parser.add_argument("--runs", type=Path)
    options = parser.parse_args()
    if options.part == "bccd":
        keys = [*([f"fit.epochs={options.epochs:g}"] if options.epochs else []), *options.keys]
        for model in options.models:
            figures = bccd(model, options.seeds, keys, options.runs)
            keep("bccd", " ".join([model, *keys]), figures)
    else:
        keep(options.part, "all", latency() if options.part == "latency" else step())


def keep(part: str, name: str, figures: dict[str, Any]) -> None:
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    results.setdefault(part, {})[name] = {"machine": described(), "threads": 1, **figures}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(part, name, json.dumps({k: v for k, v in figures.items() if k != "runs"}), flush=True)


def bccd(model: str, seeds: list[int], further: list[str], runs_folder: Path | None) -> dict[str, Any]:
    """The trainings of one network, and the mean and range of their test figures. The default network is the light one, which
    naming it would make large."""
    own = [] if model == "faster_rcnn_resnet18_fpn" else ["-m", model]
    keys = [*own, "fit.threads=1", *further]
    runs = [_train(keys, seed, runs_folder and runs_folder / f"{model}-{seed}") for seed in seeds]
    ap, ap50 = ([run["test"][name] for run in runs] for name in ("ap", "ap50"))
    return {
        "command": " ".join(["sightline train bccd/", *keys]), "n": len(runs), "seeds": seeds, "runs": runs,
        "ap50": [min(ap50), statistics.mean(ap50), max(ap50)], "ap": [min(ap), statistics.mean(ap), max(ap)],
        "training_seconds": statistics.mean(run["training_seconds"] for run in runs),
    }  # fmt: skip


def _train(keys: list[str], seed: int, kept: Path | None) -> dict[str, Any]:
    data = Path(os.environ["SIGHTLINE_DATA"]) / "bccd"
    with tempfile.TemporaryDirectory() as folder:
        out = kept or Path(folder) / "run"
        verb = ["train", str(data), *keys, f"seed={seed}", "--json", "--out", str(out)]
        command = [sys.executable, "-m", "sightline", *verb]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        answer = json.loads(done.stdout.splitlines()[-1])
        clock = [json.loads(line) for line in (out / "timing.jsonl").read_text().splitlines()]
    return {
        "seed": seed, "training_seconds": round(answer["seconds"]), "steps": answer["steps"],
        "cpu_seconds_of_the_process": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime),
        "val": answer["val"], "test": answer["test"], "clock": clock[-1],
    }  # fmt: skip


def latency() -> dict[str, Any]:
    """Milliseconds of one image through a whole export: decoding of the graph's outputs and suppression included."""
    from sightline.exports.onnx_graph import to_onnx
    from sightline.exports.torch_graph import TorchGraphs
    from sightline.kinds.catalogue import KINDS
    from sightline.models.create import create_model
    from sightline.preprocessing.normalise import Normalise, Normalised
    from sightline.runtime.model import DECODINGS
    from sightline.runtime.onnx_session import OnnxGraph
    from sightline.tasks.detection import Detection
    from sightline.tasks.single_shot import SingleShot

    light = {"width": 128, "hidden": 256, "proposals": (500, 300)}
    cases = {"yolox_nano": {}, "yolox_tiny": {}, "yolox_s": {}, "faster_rcnn_resnet18_fpn": light}
    image = np.random.default_rng(0).integers(0, 256, (1, 3, SIDE, SIDE), dtype=np.uint8)
    pair = np.concatenate((image, image[:, :, ::-1].copy()))
    figures: dict[str, Any] = {}
    for name, options in cases.items():
        model = create_model(name, num_classes=3, **options).eval()
        of = Detection if name.startswith("faster") else SingleShot
        task = of(Normalised(Normalise([120.0] * 3, [60.0] * 3), model), classes=3).eval()
        export = KINDS["detection"].export_of(task)
        assert export is not None
        graphs = export.graphs(task, (3, SIDE, SIDE))
        decoding = DECODINGS[export.decoding](export.settings(task, 3))
        traced = TorchGraphs(graphs)
        decoding.run(traced.by_name, pair)
        inputs = {call.graph: call.inputs for call in traced.calls}
        opened = {}
        for graph in graphs:
            data, opset = to_onnx(graphs[graph], inputs[graph], "trace")
            facts = {
                "file": f"{graph}.onnx",
                "inputs": dict(graphs[graph].inputs),
                "outputs": dict(graphs[graph].outputs),
                "opset": opset,
            }
            opened[graph] = OnnxGraph(data, {**facts, "static_faster": False}, 1)
        figures[name] = _median(lambda d=decoding, o=opened: d.run(o, image))
    ratio = figures["faster_rcnn_resnet18_fpn"] / figures["yolox_tiny"]
    return {
        "command": "python benchmarks/detectors.py latency",
        "side": SIDE,
        "ms": figures,
        "faster_rcnn_over_tiny": ratio,
    }


def step() -> dict[str, Any]:
    """Milliseconds of forward, loss and backward of yolox_tiny, batch 8 at 256 x 320, ten objects an image, in bf16 where the
    processor computes in it."""
    from sightline.engine.devices import choose_precision
    from sightline.models.create import create_model
    from sightline.structures.batch import Batch
    from sightline.structures.targets import Boxes
    from sightline.tasks.single_shot import SingleShot

    torch.set_num_threads(1)
    torch.manual_seed(0)
    images, height, width, each = 8, 256, 320, 10
    model = create_model("yolox_tiny", num_classes=3).to(memory_format=torch.channels_last)
    task = SingleShot(model, classes=3).train()
    low = torch.rand(images * each, 2) * torch.tensor([width - 60.0, height - 60.0])
    boxes = torch.cat((low, low + 20 + 40 * torch.rand(images * each, 2)), 1)
    target = Boxes(boxes, torch.randint(0, 3, (len(boxes),)), torch.arange(images).repeat_interleave(each))
    image = torch.randn(images, 3, height, width).to(memory_format=torch.channels_last)
    size = torch.tensor([[height, width]]).expand(images, 2)
    number = torch.arange(images)
    batch = Batch.of_images(image, size, torch.eye(3).expand(images, 3, 3), size, number, number, target)
    low_precision = choose_precision("auto", "cpu", 10**9) == "bf16"

    def once() -> None:
        task.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=low_precision):
            loss = task.loss(batch)
        loss.total.backward()

    return {"command": "python benchmarks/detectors.py step", "bf16": low_precision, "ms": _median(once, 8)}


def _median(call: Any, times: int = 30) -> float:
    for _ in range(3):
        call()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds)


if __name__ == "__main__":
    main()
