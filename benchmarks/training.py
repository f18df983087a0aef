"""Training speed against the plain loop of the PyTorch examples, as ratios in one run.

    python benchmarks/training.py [--rounds 3] [--seconds 20] [--only lenet5] [--precision fp32] [--device cuda] [--compile]

Both sides train the same network on the same images with the same batch and augmentation, each in a process of its own,
turn about. The plain side is a torchvision data set behind a DataLoader with the best of 0, 1 and 2 workers (chosen in a
round of its own), under autocast where ours is; bf16 is also held against the loop as the examples write it, in fp32
(`fp32_loop`). Ours is the command that a user types, with `fit.compile=true` where asked. Neither side's first ten
steps are timed, nor the validation between our epochs, which the plain loop does without. Memory is the peak of the
whole process tree's largest process. Needs $SIGHTLINE_DATA with mnist/ and cifar10/. Writes results/speed-training.json,
where a row takes the place of the one of the same network, precision and processor.
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

from machine import described

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "speed-training.json"
TASKS = {
    "lenet5": {"recipe": "mnist_lenet5", "goal": 1.5},
    "resnet20": {"recipe": "cifar10_resnet20", "goal": 1.5},
    "resnet18": {"recipe": "cifar10_resnet20", "goal": 1.3},
}
BATCH = 128
WARM = 10  # steps before the clock starts: ours writes its first line of metrics.jsonl then


def plain(model: str, precision: str, workers: int, seconds: float, device: str) -> dict[str, Any]:
    """The loop that the PyTorch examples write, timed after a warm-up."""
    import torch
    import torch.nn.functional as F
    from torchvision import transforms as T

    from sightline.data.formats.builtin import DATASETS
    from sightline.models.create import create_model
    from sightline.preprocessing.decoder import decode

    digits = model == "lenet5"
    source = DATASETS["mnist" if digits else "cifar10"]()
    records = [r for r in source.records if r.split == "train"]

    class Pictures(torch.utils.data.Dataset):  # type: ignore[type-arg]
        """Decoded pictures in memory, made into PIL images one by one, as torchvision's MNIST and CIFAR10 do."""

        def __init__(self) -> None:
            from PIL import Image

            self.from_array = Image.fromarray
            self.pixels = [decode(source.load(r), channels=1 if digits else 3).pixels for r in records]
            self.labels = [source.classes.index(str(r.label)) for r in records]
            mean, std = ((0.1307,), (0.3081,)) if digits else ((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616))
            flip = [] if digits else [T.RandomHorizontalFlip()]
            fit = [T.Pad(2)] if digits else []
            self.transform = T.Compose([*fit, T.RandomCrop(32, padding=4), *flip, T.ToTensor(), T.Normalize(mean, std)])

        def __len__(self) -> int:
            return len(self.labels)

        def __getitem__(self, i: int) -> tuple[Any, int]:
            return self.transform(self.from_array(self.pixels[i].squeeze())), self.labels[i]

    loader = torch.utils.data.DataLoader(
        Pictures(), batch_size=BATCH, shuffle=True, drop_last=True, num_workers=workers, persistent_workers=workers > 0,
        pin_memory=device == "cuda",
    )  # fmt: skip
    options = {"small_images": True} if model == "resnet18" else {}
    network = create_model(model, num_classes=10, in_channels=1 if digits else 3, **options)
    network.train().to(device)
    if digits:
        optimizer: torch.optim.Optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    else:
        optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    step, start = 0, 0.0
    while True:
        for x, y in loader:
            x, y = x.to(device, non_blocking=True), y.to(device, non_blocking=True)
            optimizer.zero_grad()
            with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
                loss = F.cross_entropy(network(x), y)
            loss.backward()
            optimizer.step()
            step += 1
            if device == "cuda" and step % 10 == 0:
                loss.item()  # the examples print it now and then; and a clock must not run ahead
            if step == WARM:
                start = time.perf_counter()
            elif step > WARM and time.perf_counter() - start > seconds:
                rate = (step - WARM) * BATCH / (time.perf_counter() - start)
                peak = max(
                    resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
                )
                return {"images_per_second": rate, "megabytes": peak / 1024}


def ours(model: str, precision: str, seconds: float, device: str, compiled: bool) -> dict[str, Any]:
    """The command, stopped by SIGTERM so many seconds after its warm-up; its own clock counts the training."""
    task = TASKS[model]
    flip = "false" if model == "lenet5" else "true"
    keys = [
        "fit.epochs=1000", f"fit.precision={precision}", f"fit.batch={BATCH}", "fit.threads=2", "optim.lr=0.002",
        f"fit.device={device}", f"fit.compile={str(compiled).lower()}",
        "input.size=32", f"augment.flip={flip}", "augment.preset=light",
    ]  # fmt: skip
    timed = """
import json, os, resource, signal, subprocess, sys, time
command, lines, seconds = json.loads(sys.argv[1])
child = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
while not (os.path.exists(lines) and os.path.getsize(lines)):
    assert child.poll() is None, "training ended before it began"
    time.sleep(0.005)
warm = time.time()
time.sleep(seconds)
child.send_signal(signal.SIGTERM)
assert child.wait() == 143
print(warm, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [
            sys.executable,
            "-m",
            "sightline",
            "train",
            str(task["recipe"]),
            "-m",
            model,
            "--out",
            str(run),
            "-q",
        ]
        asked = json.dumps([[*command, *keys], str(run / "metrics.jsonl"), seconds])
        done = subprocess.run([sys.executable, "-c", timed, asked], capture_output=True, text=True, check=True)
        lines = [json.loads(line) for line in (run / "timing.jsonl").read_text().splitlines()]
    warm, kilobytes = map(float, done.stdout.split())
    began = lines[0]["at"] - lines[0]["seconds"]
    took = sum(row["seconds"] for row in lines) - (warm - began)
    seen = sum(row["images"] for row in lines) - WARM * BATCH
    return {"images_per_second": seen / took, "megabytes": kilobytes / 1024}


def in_a_process(**arguments: Any) -> dict[str, Any]:
    """`plain` in a process of its own, so that neither side sees the other's memory."""
    done = subprocess.run(
        [sys.executable, __file__, "--plain", json.dumps(arguments)], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(model: str, precision: str, rounds: int, seconds: float, device: str, compiled: bool) -> dict[str, Any]:
    asked = {"model": model, "device": device}
    kinds = ("fp32",) if precision == "fp32" else ("bf16", "fp32")  # the examples' own loop has no autocast
    workers = {}
    for kind in kinds:
        tried = {w: in_a_process(**asked, precision=kind, workers=w, seconds=seconds / 2) for w in (0, 1, 2)}
        workers[kind] = max(tried, key=lambda w: tried[w]["images_per_second"])
    us, plains = [], {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            plains[kind].append(in_a_process(**asked, precision=kind, workers=workers[kind], seconds=seconds))
        us.append(ours(model, precision, seconds, device, compiled))
    row = {
        "model": model,
        "precision": precision,
        "compiled": compiled,
        "goal": TASKS[model]["goal"],
        **_against(us, plains[precision]),
        "memory_ratio": round(statistics.median(_ratios(us, plains[precision], "megabytes")), 3),
        "images_per_second": round(statistics.median(a["images_per_second"] for a in us), 1),
        "plain_workers": workers[precision],
        "n": rounds,
    }
    return row | ({"fp32_loop": _against(us, plains["fp32"])} if precision != "fp32" else {})


def _ratios(us: list[dict[str, Any]], plain: list[dict[str, Any]], what: str) -> list[float]:
    return [a[what] / b[what] for a, b in zip(us, plain, strict=True)]


def _against(us: list[dict[str, Any]], plain: list[dict[str, Any]]) -> dict[str, Any]:
    """Our speed for theirs, round by round."""
    speed = _ratios(us, plain, "images_per_second")
    return {
        "ratio": round(statistics.median(speed), 3),
        "ratio_range": [round(min(speed), 3), round(max(speed), 3)],
        "plain_images_per_second": round(statistics.median(b["images_per_second"] for b in plain), 1),
    }


def record(row: dict[str, Any]) -> None:
    """Put it in the place of the one that says the same of the same processor."""
    rows = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []
    rows = sorted([*(other for other in rows if _about(other) != _about(row)), row], key=_about)
    RESULTS.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


def _about(row: dict[str, Any]) -> tuple[Any, ...]:
    machine = row["machine"]
    return (
        list(TASKS).index(row["model"]),
        row["precision"] == "bf16",
        row["compiled"],
        machine["gpu"] or machine["cpu"],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--only", default="")
    parser.add_argument("--precision", choices=("fp32", "bf16"))
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--plain", default="")
    asked = parser.parse_args()
    if asked.plain:
        print(json.dumps(plain(**json.loads(asked.plain))))
        return
    for model in TASKS:
        for precision in (asked.precision,) if asked.precision else ("fp32", "bf16"):
            if asked.only in model:
                start = time.perf_counter()
                row = compare(model, precision, asked.rounds, asked.seconds, asked.device, asked.compile)
                row["command"] = "python benchmarks/training.py " + " ".join(sys.argv[1:])
                row |= {"machine": described(), "seconds": round(time.perf_counter() - start)}
                record(row)
                print(json.dumps(row), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    main()
