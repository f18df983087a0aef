"""Does every family export, and how fast are exports?

    python benchmarks/exports.py [parity | speed] [--only PATTERN]

Parity: the smallest member of each family of classifiers, in the light options of the test suite, with distinct values in
its tensors, exported to ONNX and compared on 64 images of noise in batches of 1, 3 and 8. Segmenters, detectors and instances
are trained for an epoch on real images ($SIGHTLINE_DATA) and compared on 64 images of their data: with random weights their
scores saturate and boxes are a fraction of a pixel wide, so any two implementations disagree about which of them survive.
Speed: ResNet-50 at 224 x 224, batch 16, against eager float32 in torch with the same number of threads; run it when the
machine is idle. Writes results/exports.json, each part as it is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import described

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from sightline.exports.assemble import Request, proved  # noqa: E402
from sightline.exports.latency import median_ms  # noqa: E402
from sightline.exports.onnx_graph import to_onnx, versions  # noqa: E402
from sightline.exports.openvino_graph import to_openvino  # noqa: E402
from sightline.exports.parity import IMAGES, Reference  # noqa: E402
from sightline.exports.plan import IMAGE, Export, Graph  # noqa: E402
from sightline.exports.torch_graph import TorchGraphs, run_graph  # noqa: E402
from sightline.kinds.catalogue import KINDS  # noqa: E402
from sightline.models.create import create_model  # noqa: E402
from sightline.preprocessing.geometry import Geometry  # noqa: E402
from sightline.preprocessing.normalise import Normalised  # noqa: E402
from sightline.preprocessing.saved import Preprocessing  # noqa: E402
from sightline.runs.console import Console  # noqa: E402
from sightline.runtime import onnx_session, openvino_session  # noqa: E402
from sightline.runtime.decodings import Frames  # noqa: E402
from sightline.runtime.model import DECODINGS, Prepared  # noqa: E402
from sightline.tasks.classification import Classification  # noqa: E402
from sightline.tasks.task import Task  # noqa: E402
from tests.distinct import fill_lively  # noqa: E402
from tests.smallest import SMALLEST  # noqa: E402

RESULTS = ROOT / "results" / "exports.json"
CLASSES = ("a", "b", "c")
LIGHT = {"width": 32, "hidden": 64, "proposals": (100, 60), "anchor_sizes": (8, 16, 32, 64, 128)}
TRAINED: dict[str, tuple[str, tuple[str, ...]]] = {  # network → data, keys
    "unet": ("camvid", ("input.size=96",)),
    "fcn_resnet50": ("camvid", ("input.size=96", "fit.batch=8")),
    "faster_rcnn_resnet18_fpn": ("bccd", ("input.size=192",)),
    "mask_rcnn_resnet18_fpn": ("nuclei", ("input.size=128",)),
    "yolox_nano": ("bccd", ("input.size=192",)),
}


def request(name: str, options: dict[str, Any]) -> Request:
    """A classifier with distinct values in its tensors, and the predictions of its own task for noise images."""
    torch.manual_seed(0)
    model = create_model(name, num_classes=len(CLASSES), **options).eval()
    channels, height, width = model.input_size
    noise = torch.randint(0, 256, (4, channels, height, width), generator=torch.Generator().manual_seed(0))
    fill_lively(model, (noise - 120.0) / 60.0, 0)  # statistics of the images below, or logits grow to a hundred
    preprocessing = Preprocessing(
        Geometry(height, width, "letterbox"), (120.0,) * channels, (60.0,) * channels, channels
    )
    task = Classification(Normalised(preprocessing.normaliser(), model)).eval()
    random = np.random.default_rng(0)
    sources = [random.integers(0, 256, (height - 3 + i % 7, width + i % 5, 3), dtype=np.uint8) for i in range(IMAGES)]
    export = KINDS["classification"].export_of(task)
    assert export is not None
    shape = (channels, height, width)
    rows = expected_rows(task, export, preprocessing, sources, shape)
    facts = {
        "name": name,
        "task": "classification",
        "model": name,
        "to": "onnx",
        "precision": "fp32",
        "threshold": None,
    }
    return Request(
        task, export, shape, Reference(sources, "noise", preprocessing, rows, CLASSES), facts, "", Console(-2)
    )


def expected_rows(
    task: Task, export: Export, preprocessing: Preprocessing, sources: list[np.ndarray], shape: tuple[int, int, int]
) -> list[dict[str, Any]]:
    """Rows by torch's graphs, which the test suite compares with the tasks' own predictions."""
    decoding = DECODINGS[export.decoding](export.settings(task, len(CLASSES)))
    graphs, rows = TorchGraphs(export.graphs(task, shape)), []
    for source in sources:
        pixels, frame, decoded = preprocessing.prepare(source)
        one = Prepared(pixels, frame.astype(np.float32), decoded.pixels.shape[:2])
        masks: dict[int, np.ndarray] = {}
        outputs = decoding.run(graphs.by_name, np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]))
        row = decoding.rows(outputs, Frames(one.frame[None], (one.natural,)), CLASSES, masks.__setitem__)[0]
        rows.append({**row, "pixels": masks[0]} if masks else row)
    return rows


def trained_parity(name: str, data: str, keys: tuple[str, ...]) -> dict[str, Any]:
    """The export of a run of one epoch, which is refused unless it predicts what the run predicts."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        training = ["train", str(Path(os.environ["SIGHTLINE_DATA"]) / data), "-m", name, "--epochs", "1", *keys]
        figures: dict[str, Any] = {"command": " ".join(["sightline", "train", f"{data}/", *training[2:]])}
        for call in ([*training, "--out", f"{folder}/run"], ["export", f"{folder}/run", "--out", f"{folder}/export"]):
            done = subprocess.run(
                [sys.executable, "-m", "sightline", *call, "-q", "--json"], capture_output=True, text=True
            )
            if done.returncode:
                return {**figures, "error": done.stderr.strip()[-500:], "seconds": round(time.monotonic() - start, 1)}
        about = json.loads((Path(folder) / "export" / "export.json").read_text())
    return {**figures, **about["parity"], "seconds": round(time.monotonic() - start, 1)}


def parity(name: str, options: dict[str, Any]) -> dict[str, Any]:
    start = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as folder:
            built, proof = proved(request(name, options), "onnx", Path(folder) / "export")
        figures = {
            "exporter": next(iter(built.graphs.values()))["exporter"],
            **proof["parity"],
            "rejected": proof["rejected"],
        }
    except Exception as error:  # the table says which networks do not export
        figures = {"error": str(error)[:500]}
    return {"kind": "classification", **figures, "seconds": round(time.monotonic() - start, 1)}


def speed() -> dict[str, Any]:
    """ResNet-50: one batch of 16 images of 224 x 224, milliseconds and ratios to torch."""
    model = create_model("resnet50").eval()
    graph = Graph(
        Normalised(Preprocessing(Geometry(224, 224), (120.0,) * 3, (60.0,) * 3).normaliser(), model),
        {IMAGE: "batch"}, {"scores": "batch"}, logits=("scores",),
    )  # fmt: skip
    image = np.random.default_rng(0).integers(0, 256, (16, 3, 224, 224), dtype=np.uint8)
    data, _ = to_onnx(graph, {IMAGE: image[:2]}, "dynamo")
    files, threads = to_openvino(data), torch.get_num_threads()
    calls: dict[str, Any] = {
        "torch fp32": lambda: run_graph(graph, {IMAGE: image}),
        "onnx fp32": _caller(onnx_session, onnx_session.open_session(data, threads=threads), image),
        "onnx fp32, batch fixed": _caller(
            onnx_session, onnx_session.open_session(data, threads=threads, batch=16), image
        ),
    }
    for precision in ("fp32", "bf16"):
        compiled = openvino_session.open_compiled(*files, precision=precision, threads=threads)
        calls[f"openvino {precision}"] = _caller(openvino_session, compiled, image)
    took = {name: median_ms(call) for name, call in calls.items()}
    ratios = {name: took["torch fp32"] / ms for name, ms in took.items()}
    return {
        "network": "resnet50",
        "batch": 16,
        "input": [3, 224, 224],
        "threads": threads,
        "ms": took,
        "times_as_fast": ratios,
    }


def _caller(adapter: Any, session: Any, image: np.ndarray) -> Any:
    return lambda: adapter.run(session, {IMAGE: image})


def record(part: str, figures: dict[str, Any]) -> None:
    """Put one part into the file of results and leave the other as it was measured."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[part] = {
        "command": f"python benchmarks/exports.py {part}",
        "machine": described(),
        "versions": versions(),
        **figures,
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=("parity", "speed"), help="both without it")
    parser.add_argument("--only", default="*", help="a pattern of names; the other networks keep their figures")
    arguments = parser.parse_args()
    if arguments.part != "speed":
        table: dict[str, Any] = {}
        stored = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        if arguments.only != "*":  # the others keep their recorded figures
            table |= stored.get("parity", {}).get("networks", {})
        calls: dict[str, Any] = {name: partial(parity, name, options) for name, options in SMALLEST.items()}
        calls |= {name: partial(trained_parity, name, *about) for name, about in TRAINED.items()}
        for name in filter(lambda name: fnmatchcase(name, arguments.only), calls):
            table[name] = calls[name]()
            print(name, json.dumps(table[name]), flush=True)
            record("parity", {"images": IMAGES, "networks": table})
    if arguments.part != "parity":
        figures = speed()
        print(json.dumps(figures))
        record("speed", figures)


if __name__ == "__main__":
    main()
