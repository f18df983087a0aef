"""Small objects and crowds.

Which objects does a detector miss because of how it is built: those smaller than its cells, those that overlap?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from sightline.decoding.detections import detections
from sightline.drawing.overlay import RIGHT, framed
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.seeing.crowds import LARGE, SIDE, SMALL, scenes
from sightline.lab.seeing.pixels import named_grid
from sightline.layers.boxes.cells import cell_targets
from sightline.models.create import create_model
from sightline.preprocessing.normalise import Normalise, Normalised
from sightline.structures.batch import Batch
from sightline.structures.regions import SelectionRule
from sightline.structures.targets import Boxes
from sightline.tasks.boxes.anchors import AnchorDetection

KINDS = {"large, apart": (LARGE, False), "small, apart": (SMALL, False), "large, crowded": (LARGE, True)}
ANCHORS = (5.0, 5.0, 6.0, 6.0, 24.0, 28.0, 29.0, 25.0)
GRID = (7, 7)  # of YOLO v1
FIRST_UNSEEN = 100_000


@dataclass(frozen=True)
class Parameters:
    steps: Annotated[int, Field(ge=10, le=5_000)] = 400
    batch: Annotated[int, Field(ge=3, le=60)] = 12
    suppression: Annotated[float, Field(gt=0, lt=1)] = 0.5


class Limits(NamedTuple):
    """Shares of the objects that remain for a detector without any mistake."""

    suppression: float
    cells: float


def limits(truth: Boxes, images: int, threshold: float) -> Limits:
    """Of perfect boxes those that suppression keeps; and those that get a cell of their own in YOLO v1's grid."""
    score = torch.nn.functional.one_hot(truth.label, 2) * torch.linspace(1, 0.5, len(truth.label))[:, None]
    boxes = truth.boxes[:, None].expand(-1, 2, -1)
    kept = detections(boxes, score, truth.sample, SelectionRule(0.1, threshold, 100))
    objects = truth.boxes, truth.label, truth.sample, truth.ignore
    cells = cell_targets(*objects, images=images, size=(SIDE, SIDE), grid=GRID)
    return Limits(len(kept.label) / len(truth.label), len(cells.truth) / len(truth.label))


def train(p: Parameters, seed: int) -> AnchorDetection:
    """YOLOv3-tiny, on a third of each kind of scene."""
    network = create_model("yolo_v3_tiny", seed=seed, num_classes=2, width=0.25, anchors=ANCHORS)
    task = AnchorDetection(
        Normalised(Normalise([120.0] * 3, [50.0] * 3), network), classes=2, nms_threshold=p.suppression
    )
    optimizer = torch.optim.AdamW(task.parameters(), lr=3e-3, weight_decay=1e-4)
    for step in range(p.steps):
        optimizer.param_groups[0]["lr"] = 3e-3 * (0.1 if step > 0.8 * p.steps else 1.0)
        batch = scenes(range(step * p.batch, (step + 1) * p.batch), seed, list(KINDS.values()))
        optimizer.zero_grad()
        task.loss(batch).total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(task.parameters(), 10.0)
        optimizer.step()
    return task.eval()


def picture(task: AnchorDetection, batch: Batch) -> tuple[Tensor, ...]:
    found = task.predict(batch)
    sure = found.score >= 0.3
    return tuple(found.boxes[sure & (found.sample == row)] for row in range(len(batch)))


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    task = train(p, seed)
    unseen = range(FIRST_UNSEEN, FIRST_UNSEEN + 40)
    rows: list[list[str | float]] = []
    ap50, bound, shown = {}, {}, []
    with torch.no_grad():
        for name, kind in KINDS.items():
            batch = scenes(unseen, seed, [kind])
            assert isinstance(batch.target, Boxes)
            ap50[name] = float(task.metrics(task.rows(batch, task.predict(batch)))["ap50"] or 0.0)
            bound[name] = limits(batch.target, len(batch), p.suppression)
            rows.append([name, ap50[name], *bound[name]])
            few = scenes(unseen[:2], seed, [kind])
            for image, boxes in zip(few.image, picture(task, few), strict=True):
                pixels = image.permute(1, 2, 0).numpy()
                shown.append((name, framed(pixels, boxes.numpy(), [RIGHT] * len(boxes))))
    large, small, crowded = KINDS
    return Result(
        claims=[
            Claim("Large objects that lie apart are found (AP50 of at least 0.7).", ap50[large] >= 0.7,
                  f"{ap50[large]:.3f}"),
            Claim("Small ones less well: the finest cells have 16 pixels, the objects 4 to 6.",
                  ap50[small] < ap50[large] - 0.05, f"{ap50[small]:.3f}"),
            Claim("Crowded ones less well, though they are as large (AP50 at least 0.05 lower).",
                  ap50[crowded] < ap50[large] - 0.05, f"{ap50[crowded]:.3f}"),
            Claim("Suppression would drop some of a crowd even of perfect boxes, and none that lies apart.",
                  bound[crowded].suppression < 1 == bound[large].suppression,
                  f"{bound[crowded].suppression:.3f} and {bound[large].suppression:.3f} of the objects remain"),
            Claim("A grid of 7 x 7 cells with one object each, as of YOLO v1, has no room for all of a crowd.",
                  bound[crowded].cells < bound[large].cells,
                  f"{bound[crowded].cells:.3f} against {bound[large].cells:.3f} of the objects get a cell"),
        ],
        numbers={f"AP50, {name}": value for name, value in ap50.items()},
        pictures=[Picture(named_grid(shown, 6, 160), "Boxes with a score of at least 0.3.", wide=True)],
        tables=[Table(("objects", "AP50 of the network", "kept by suppression if all were perfect",
                       "with a cell of their own"), rows, "40 unseen images of each kind, four objects an image")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=("The report of every detector has these rows for your own data: small, medium, large; crowded, apart.",
            "Two boxes of different classes are never rivals in suppression; of one class, the better one wins."),
    formulas=(Formula("keep box i if no kept box j of its class has IoU(i, j) > threshold", "greedy suppression"),
              Formula("S × S cells, one object each", "YOLO v1: Redmon et al. 2016, section 2.4 names both limits"),),
    code=(limits, train),
    variations=(Variation("suppression=0.8", "More of the crowd remains, and so do second boxes of one object."),),
)  # fmt: skip
