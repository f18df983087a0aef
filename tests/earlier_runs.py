"""Runs of each kind as version 0.1.0 wrote them: how they were made, and how a test lays them out again.

`python tests/earlier_runs.py FOLDER` made `tests/fixtures/runs-0.1.0/*.tar.xz` with that version (commit 4093de0). Each
archive holds `finished/` and `begun/` (the same run, killed after its third step), and `expected.json`: what that version
predicted and measured. Pictures are drawn again from their seeds, as PNG, so that no encoder matters.

A detector has 45 MB of weights. Here nearly all of them are zero and stay so: in a residual block whose convolutions are
zero every gradient of a weight is zero, and the archive compresses to kilobytes.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ARCHIVES = Path(__file__).parent / "fixtures" / "runs-0.1.0"
KINDS = ("classification", "segmentation", "detection", "instances")
SIDE, IMAGES, KILLED_AFTER = 64, 24, 3
_REGIONS = [
    "model.options.width=16", "model.options.hidden=32", "model.options.proposals=60,50",
    "model.options.samples=64,16", "fit.batch=4", "input.size=64", "fit.epochs=2", "optim.name=sgd", "optim.momentum=0",
    "optim.nesterov=false", "optim.lr=0.01", "model.weights=start.safetensors",
]  # fmt: skip
RECIPES: dict[str, tuple[str, list[str]]] = {
    "classification": ("lenet_1989", ["fit.batch=8", "fit.epochs=4"]),
    "segmentation": ("unet", ["model.options.width=2", "input.size=32", "fit.batch=4", "fit.epochs=4"]),
    "detection": ("faster_rcnn_resnet18_fpn", _REGIONS),
    "instances": ("mask_rcnn_resnet18_fpn", _REGIONS),
}
COMMON = ["fit.threads=1", "fit.precision=fp32", "fit.device=cpu", "fit.commit_every=1"]


def picture(number: int) -> tuple[np.ndarray, list[tuple[int, int, int, int, int]]]:
    """Noise with three bright or dark rectangles; (class, left, top, right, bottom) of each."""
    draw = np.random.default_rng(number)
    pixels = draw.integers(60, 160, (SIDE, SIDE, 3), dtype=np.uint8)
    objects = []
    for k in range(3):
        kind = int(draw.integers(0, 2))
        left, top = 20 * k + int(draw.integers(0, 3)), int(draw.integers(0, 44))
        right, bottom = left + int(draw.integers(14, 20)), top + int(draw.integers(14, 20))
        pixels[top:bottom, left:right] = 230 if kind else 20
        objects.append((kind, left, top, min(right, SIDE), bottom))
    return pixels, objects


def write_data(kind: str, folder: Path) -> None:
    """The data set that the run of this kind was trained on."""
    entries: dict[str, list[Any]] = {"images": [], "annotations": []}
    for i in range(IMAGES):
        pixels, objects = picture(i)
        place = folder / ("dark" if objects[0][0] == 0 else "bright") if kind == "classification" else folder / "images"
        _save(place / f"{i:04d}.png", pixels)
        if kind == "segmentation":
            mask = np.zeros((SIDE, SIDE), np.uint8)
            for label, left, top, right, bottom in objects:
                mask[top:bottom, left:right] = label + 1
            _save(folder / "masks" / f"{i:04d}.png", mask)
        entries["images"].append({"id": i + 1, "file_name": f"{i:04d}.png", "height": SIDE, "width": SIDE})
        for label, x0, y0, x1, y1 in objects:
            row = {"id": len(entries["annotations"]) + 1, "image_id": i + 1, "category_id": label + 1, "iscrowd": 0}
            row |= {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0)}
            row |= {"segmentation": [[x0, y0, x1, y0, x1, y1, x0, y1]]} if kind == "instances" else {}
            entries["annotations"].append(row)
    if kind == "segmentation":
        (folder / "classes.txt").write_text("ground\ndark\nbright\n")
    if kind in ("detection", "instances"):
        whole = {**entries, "categories": [{"id": 1, "name": "dark"}, {"id": 2, "name": "bright"}]}
        (folder / "annotations.json").write_text(json.dumps(whole))


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def lay_out(kind: str, folder: Path) -> dict[str, Any]:
    """`data/`, `finished/` and `begun/` in `folder`; what that version said of them."""
    write_data(kind, folder / "data")
    with tarfile.open(ARCHIVES / f"{kind}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    expected: dict[str, Any] = json.loads((folder / "expected.json").read_text())
    return expected


def _train(*args: str) -> list[str]:
    return [sys.executable, "-m", "sightline", "train", *args, "-q"]


def _make(kind: str, folder: Path) -> None:
    """Train, kill, resume; keep what matters."""
    os.chdir(folder)
    write_data(kind, Path("data"))
    network, keys = RECIPES[kind]
    if kind in ("detection", "instances"):
        _write_start(network)
    command = _train("data", "-m", network, "--out", "begun", *keys, *COMMON)
    child = subprocess.Popen(command)
    while not list(Path("begun").glob(f"checkpoints/step-{KILLED_AFTER:08d}/manifest.json")):
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    checkpoints = sorted(Path("begun/checkpoints").glob("step-*"))
    for other in checkpoints[:-1]:
        shutil.rmtree(other)
    shutil.copytree("begun", "finished")
    subprocess.run(_train("--resume", "finished"), check=True)
    shutil.rmtree("finished/checkpoints")
    _describe(kind)
    for run in ("begun", "finished"):
        for name in ("report.html", "README.md", "samples", "log.txt"):
            path = Path(run, name)
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    ARCHIVES.mkdir(parents=True, exist_ok=True)
    with tarfile.open(ARCHIVES / f"{kind}.tar.xz", "w:xz") as archive:
        for name in ("begun", "finished", "expected.json"):
            archive.add(name)
    print(kind, checkpoints[-1].name, (ARCHIVES / f"{kind}.tar.xz").stat().st_size)


def _write_start(network: str) -> None:
    """Weights whose residual blocks are zero."""
    from safetensors.torch import save_file

    from sightline.models.create import create_model

    options = {"width": 16, "hidden": 32, "num_classes": 2}
    tensors = create_model(network, **options).state_dict()
    for name, tensor in tensors.items():
        if "body.layer" in name:
            tensor.zero_()
    save_file(tensors, "start.safetensors")


def _describe(kind: str) -> None:
    import sightline

    images = [str(path) for path in sorted(Path("data").rglob("*.png")) if "masks" not in path.parts][:4]
    found = {
        "images": images,
        "predictions": sightline.predict("finished", images).to_json()["predictions"],
        "evaluation": sightline.evaluate("finished").to_json(),
        "environment": json.loads(Path("finished/environment.json").read_text()),
    }
    Path("expected.json").write_text(json.dumps(found))


if __name__ == "__main__":
    for each in KINDS if len(sys.argv) < 3 else sys.argv[2:]:
        place = Path(sys.argv[1], each)
        place.mkdir(parents=True)
        _make(each, place.resolve())
