"""Pictures in the run folder: the first batch, and predictions next to the truth for the worst and some typical images."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import torch

from sightline.data.dataset import Dataset
from sightline.data.loaders import Images
from sightline.drawing.png import enlarged, grid, png_bytes
from sightline.engine.devices import unwrapped
from sightline.engine.predicting import predictions
from sightline.kinds.kind import Kind, Scoring, plain
from sightline.recipes.loading import choose
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.runs.run import Run
from sightline.storage.files import replace_file
from sightline.structures.batch import Batch

from .progress import Training

IN_BATCH = 32  # images of the first training batch that are shown
WORST, TYPICAL = 12, 6
ASSIGNED = 4  # training images on which the assignment is drawn
FOLDER = "samples/examples"
LARGEST = 640  # pixels of an image's longer side in an example
WIDTH = 2560  # pixels of the picture of the batch, at most


def write_batch(run: Run, kind: Kind, batch: Batch, data: Dataset) -> None:
    """samples/batch.png and .json: the first training images as the network sees them, augmentation included, each with its
    label below."""
    (run.folder / "samples").mkdir(exist_ok=True)
    drawings, shown = kind.drawings, range(min(len(batch), IN_BATCH))
    pictures = [drawings.truth(batch, row, data.classes) for row in shown]
    rows = [
        {"id": i, "name": data.records[i].name, "label": drawings.label(batch.target, row, data.classes)}
        for row, i in enumerate(batch.id[:IN_BATCH].tolist())
    ]
    captions = [row["label"] or "" for row in rows]
    sheet = grid(pictures, columns=drawings.columns, most=WIDTH // drawings.columns, captions=captions)
    replace_file(run.folder / "samples" / "batch.png", png_bytes(sheet))
    run.write_json("samples/batch.json", rows)


def write_assignment(training: Training) -> None:
    """samples/assignment.png and .json: some training images as they are, with what of the trained network learns each object;
    for kinds and networks that can draw it."""
    drawings, images = training.kind.drawings, training.images["train"]
    if drawings.learned is None:
        return
    at = torch.from_numpy(choose(np.arange(len(images)), ASSIGNED))
    training.task.eval()
    batch = images(at, at)
    with unwrapped(training.task) as task:
        learned = drawings.learned(task, batch.to(training.device))
    if learned is None:
        return
    sheet = grid(learned.pictures, columns=2, most=LARGEST)
    replace_file(training.run.folder / "samples" / "assignment.png", png_bytes(sheet))
    names = [training.data.records[i].name for i in batch.id.tolist()]
    training.run.write_json("samples/assignment.json", {"names": names, "meaning": learned.meaning})


def write_examples(training: Training, scoring: Scoring, evaluation: SplitEvaluation, images: Images) -> None:
    """samples/examples/*.png (image, truth, answer side by side) and samples/examples.json, which says what they are; for
    kinds of task whose answers can be drawn. A classifier's mistakes are drawn by the report, from its rows."""
    run, drawings = training.run, training.kind.drawings
    if drawings.answer is None:
        return
    folder = run.folder / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    worst = scoring.worst(evaluation.judgement)[:WORST]
    ids = images.id.numpy()
    typical = choose(np.setdiff1d(ids, worst), TYPICAL).tolist()
    place = {int(i): p for p, i in enumerate(ids.tolist())}
    threshold = scoring.threshold(evaluation.judgement)
    items: list[dict[str, Any]] = []
    for i in [*worst, *typical]:
        at = torch.tensor([place[i]])
        ((batch, prediction),) = predictions(training.task, [images(at, at)], training.device)
        panels = [
            enlarged(plain(batch, 0)),
            drawings.truth(batch, 0, evaluation.classes),
            drawings.answer(batch, 0, evaluation.classes, prediction, threshold),
        ]
        name = f"{FOLDER}/{evaluation.split}-{i}.png"
        replace_file(run.folder / name, png_bytes(grid(panels, columns=3, least=1, most=LARGEST)))
        items.append({"id": i, "name": training.data.records[i].name, "file": name, "worst": i in worst})
    about = {"split": evaluation.split, "threshold": threshold, "classes": list(evaluation.classes), "items": items}
    run.write_json("samples/examples.json", about)
