"""Pictures of what a network says beside what is true: the worst images of a split, and some that nobody chose."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import torch

from sightline.data.dataset import Dataset
from sightline.data.loaders import Images
from sightline.drawing.png import grid, png_bytes
from sightline.engine.predicting import predictions
from sightline.evaluation.detections import DetectionJudgement
from sightline.evaluation.judging import AnyJudgement
from sightline.evaluation.segments import SegmentJudgement
from sightline.runs.run import Run
from sightline.storage.files import replace_file
from sightline.tasks.task import Task
from sightline.verbs.pictures import answer_drawn, plain, truth_drawn
from sightline.verbs.preparing import choose

WORST, TYPICAL = 12, 6
FOLDER = "samples/examples"


def write_examples(
    run: Run, task: Task, data: Dataset, images: Images, judgement: AnyJudgement, split: str, device: str
) -> None:
    """samples/examples/*.png (image, truth, answer side by side) and samples/examples.json, which says what they are. A
    classifier's mistakes need neither: the report draws them from its rows."""
    if not isinstance(judgement, SegmentJudgement | DetectionJudgement):
        return
    folder = run.folder / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    worst = [w.id for w in judgement.worst[:WORST]]
    ids = images.id.numpy()
    typical = choose(np.setdiff1d(ids, worst), TYPICAL).tolist()
    place = {int(i): p for p, i in enumerate(ids.tolist())}
    threshold = _threshold(judgement)
    items: list[dict[str, Any]] = []
    for i in [*worst, *typical]:
        at = torch.tensor([place[i]])
        ((batch, prediction),) = predictions(task, [images(at, at)], device)
        panels = [plain(batch, 0), truth_drawn(batch, 0), answer_drawn(batch, 0, prediction, threshold)]
        name = f"{FOLDER}/{split}-{i}.png"
        replace_file(run.folder / name, png_bytes(grid(panels, columns=3, least=160, most=400)))
        items.append({"id": i, "name": data.records[i].name, "file": name, "worst": i in worst})
    about = {"split": split, "threshold": threshold, "classes": list(data.classes), "items": items}
    run.write_json("samples/examples.json", about)


def _threshold(judgement: AnyJudgement) -> float:
    """Boxes with a lower score are not drawn."""
    if isinstance(judgement, DetectionJudgement) and judgement.score_threshold is not None:
        return judgement.score_threshold
    return 0.5
