"""The R-CNN line on one trunk, and selective search beside OpenCV's: results/lineage.json.

    python benchmarks/lineage.py [recall] [detectors] [--images 36] [--steps 400] [--rcnn-steps 80]

needs $SIGHTLINE_DATA with bccd, whose test images are used. `recall` compares the boxes of both searches at 320 pixels and an
equal number, image by image. `detectors` trains Faster R-CNN, Fast R-CNN and R-CNN minus R with the same trunk, pyramid, heads,
frame and steps; and R-CNN, whose trunk starts from that of Fast R-CNN as the paper's starts from ImageNet, with fits to 40
training images. All are evaluated on the same images; seconds are those of one image at a time, proposals computed anew.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
import xml.etree.ElementTree as Xml
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import described
from PIL import Image

import sightline
from sightline.augmentation.moves import Flip
from sightline.data.loaders import in_order
from sightline.data.orders import shuffle
from sightline.data.stream import Stream
from sightline.evaluation.splits import rows_of
from sightline.kinds.catalogue import KINDS
from sightline.kinds.detection import DETECTION
from sightline.kinds.networks import load_task
from sightline.models import create_model
from sightline.preprocessing.normalise import Normalised
from sightline.proposals.proposer import Proposer
from sightline.proposals.selective_search import selective_search
from sightline.recipes.loading import choose
from sightline.runs.console import Console
from sightline.structures.boxes import iou
from sightline.tasks.proposals.given import GivenRegions
from sightline.tasks.task import Task
from sightline.verbs.evaluate import select

RESULTS = Path(__file__).parents[1] / "results" / "lineage.json"
BCCD = Path(os.environ.get("SIGHTLINE_DATA", ".")) / "bccd"
SIDE, TIMED, LIMIT = 320, 8, 2000
LIGHT = ["model.options.width=128", "model.options.hidden=256"]
FASTER = [
    "model.options.samples=256,128",
    "model.options.proposals=500,300",
    "model.options.anchor_sizes=16,32,64,128,256",
]
NETWORKS = {
    "Faster R-CNN": ("faster_rcnn_resnet18_fpn", FASTER),
    "Fast R-CNN": ("fast_rcnn_resnet18_fpn", ["model.options.samples=128"]),
    "R-CNN minus R": ("rcnn_minus_r_resnet18_fpn", ["model.options.samples=128"]),
}


def recall(images: int) -> dict[str, Any]:
    """Share of objects that a box overlaps with an IoU of 0.5, by mode, and OpenCV's fast mode at the same number of boxes."""
    import cv2

    ids = (BCCD / "ImageSets/Main/test.txt").read_text().split()
    found: dict[str, list[np.ndarray]] = {}
    seconds: dict[str, list[float]] = {}
    counts: dict[str, list[int]] = {}
    few = set(ids[:images])  # the quality mode takes seconds an image
    for name in ids:
        picture = Image.open(BCCD / f"JPEGImages/{name}.jpg").convert("RGB")
        scale = SIDE / max(picture.size)
        pixels = np.asarray(picture.resize([round(s * scale) for s in picture.size], Image.Resampling.BILINEAR))
        boxes = Xml.parse(BCCD / f"Annotations/{name}.xml").getroot().findall("object/bndbox")
        true = torch.tensor(
            [[float(b.findtext(k, "0")) * scale for k in ("xmin", "ymin", "xmax", "ymax")] for b in boxes]
        )
        search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
        search.setBaseImage(pixels[..., ::-1].copy())
        search.switchToSelectiveSearchFast()
        start = time.process_time()
        theirs = search.process().astype(np.float32)
        seconds.setdefault("OpenCV, fast", []).append(time.process_time() - start)
        theirs[:, 2:] += theirs[:, :2]
        start = time.process_time()
        ours = selective_search(pixels)
        seconds.setdefault("fast", []).append(time.process_time() - start)
        sets = {"OpenCV, fast": theirs, "fast, as many boxes": ours[: len(theirs)], "fast": ours}
        if name in few:
            start = time.process_time()
            sets["quality"] = selective_search(pixels, mode="quality", limit=LIMIT)
            seconds.setdefault("quality", []).append(time.process_time() - start)
        for mode, proposed in sets.items():
            found.setdefault(mode, []).append(iou(true, torch.from_numpy(proposed)).amax(1).numpy())
            counts.setdefault(mode, []).append(len(proposed))
    return {
        mode: {
            "images": len(best), "objects": sum(map(len, best)), "boxes": round(float(np.mean(counts[mode])), 1),
            "most_boxes": max(counts[mode]), "recall": round(float((np.concatenate(best) >= 0.5).mean()), 4),
            "recall_at_0.7": round(float((np.concatenate(best) >= 0.7).mean()), 4),
            **({"cpu_seconds": round(float(np.mean(seconds[mode])), 3)} if mode in seconds else {}),
        }
        for mode, best in found.items()
    }  # fmt: skip


def detectors(images: int, steps: int, rcnn_steps: int, fitted: int) -> dict[str, Any]:
    """AP50 and seconds an image of the four."""
    assert DETECTION.scoring is not None
    KINDS["detection"] = replace(
        DETECTION, scoring=replace(DETECTION.scoring, train_images=8)
    )  # they are not of interest
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (network, keys) in NETWORKS.items():
            epochs = f"fit.epochs={steps * 4 / 205:.3f}"  # as long for each, four images a step
            start = time.perf_counter()
            out = f"{folder}/{network}"
            run = sightline.train(str(BCCD), [*LIGHT, *keys, epochs, "fit.batch=4"], model=network, out=out)
            trained = time.perf_counter() - start
            rows[name] = measured(run, load_task(run), images) | {"training_seconds": round(trained)}
            print(name, rows[name], flush=True)
            if name == "Fast R-CNN":
                rows["R-CNN"] = rcnn(run, images, rcnn_steps, fitted)
                print("R-CNN", rows["R-CNN"], flush=True)
    slow, fast = rows["R-CNN"], rows["Fast R-CNN"]
    ratios = {
        "with_proposals": round(slow["seconds_an_image"] / fast["seconds_an_image"], 2),
        "network_alone": round(slow["network_seconds"] / fast["network_seconds"], 2),
        "ap50_points": round(100 * (slow["ap50"] - fast["ap50"]), 2),
    }
    return {"rows": rows, "fast_against_rcnn": ratios}


def rcnn(fast: Any, images: int, steps: int, fitted: int) -> dict[str, Any]:
    """R-CNN in the frame and with the regions of a Fast R-CNN run, from its trunk."""
    data, _, _ = select(fast, None, "train", Console(), verb="evaluate", allow_network=False)
    classes = len(fast.classes)
    start = time.perf_counter()
    network = create_model("rcnn_resnet18", num_classes=classes)
    body = load_task(fast).model.network.backbone.body.state_dict()
    network.body.load_state_dict({k: v for k, v in body.items() if k in network.body.state_dict()})
    propose = Proposer(network.regions, network.limit, Path(os.environ["SIGHTLINE_CACHE"]) / "proposals")
    task = GivenRegions(
        Normalised(fast.preprocessing.normaliser(), network), classes=classes, propose=propose, fitted=True
    )
    loaded = KINDS["detection"].load(
        data, data.ids("train"), fast.preprocessing, fast.recipe, truths=DETECTION.truths, judging=False
    )
    optimizer = torch.optim.AdamW(task.parameters(), lr=3e-4, weight_decay=0.01)
    stream = Stream(loaded, shuffle(len(loaded)), len(loaded), 4, seed=0)
    task.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 3e-4 * min(1.0, (step + 1) / 10) * (1 - step / steps)
        optimizer.zero_grad()
        task.loss(Flip()(stream.batch(step), 0)).total.backward()
        torch.nn.utils.clip_grad_norm_(task.parameters(), 5.0)
        optimizer.step()
    task.eval()
    some = torch.from_numpy(choose(np.arange(len(loaded)), fitted))
    task.conclude(loaded(part, part) for part in some.split(4))
    trained = time.perf_counter() - start
    return measured(fast, task, images) | {"training_seconds": round(trained), "steps": steps, "fitted_to": fitted}


def measured(run: Any, task: Task, images: int) -> dict[str, Any]:
    """AP50 on the first test images, and the median seconds of one image: of its proposals and of the network."""
    data, _, ids = select(run, None, "test", Console(), verb="evaluate", allow_network=False)
    loaded = KINDS["detection"].load(
        data, ids[:images], run.preprocessing, run.recipe, truths=DETECTION.truths, judging=True
    )
    task.eval()
    with torch.inference_mode():
        rows = rows_of(task, in_order(loaded, 4), "cpu")
        network, proposals = [], []
        for batch in list(in_order(loaded, 1))[:TIMED]:
            propose = getattr(task, "propose", None)
            if isinstance(propose, Proposer):
                start = time.perf_counter()
                Proposer(propose.mode, propose.limit)(batch.image[0].permute(1, 2, 0).numpy())
                proposals.append(time.perf_counter() - start)
            start = time.perf_counter()
            task.predict(batch)  # its proposals are known by now
            network.append(time.perf_counter() - start)
    metrics = task.metrics(rows)
    seconds = {"network_seconds": statistics.median(network), "proposal_seconds": statistics.median(proposals or [0.0])}
    return {
        "images": len(loaded), "ap50": metrics["ap50"], "ap": metrics["ap"], "timed": TIMED,
        **{name: round(value, 4) for name, value in seconds.items()},
        "seconds_an_image": round(sum(seconds.values()), 4),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", default=["recall", "detectors"])
    parser.add_argument("--images", type=int, default=36)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rcnn-steps", type=int, default=80)
    parser.add_argument("--fitted", type=int, default=40, help="training images of R-CNN's fits")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    found = json.loads(given.out.read_text()) if given.out.is_file() else {}
    for part in given.parts:
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as cache:
            os.environ["SIGHTLINE_CACHE"] = cache
            answer = (
                recall(given.images)
                if part == "recall"
                else detectors(given.images, given.steps, given.rcnn_steps, given.fitted)
            )
        found[part] = {
            "command": f"python benchmarks/lineage.py {part} --images {given.images} --steps {given.steps}",
            "machine": described(), "threads": torch.get_num_threads(), "runs": 1, "seed": 0,
            **answer, "seconds": round(time.perf_counter() - start),
        }  # fmt: skip
        given.out.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
