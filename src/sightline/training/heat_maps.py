"""Heat maps for the report: what the answer depends on, for the images that it shows for their mistakes.

Grad-CAM of the score that the network answers with; the gradient where no layer is a map any more. They are made once, after
the training, so that the report needs no network; `explain` adds the controls without which one map proves little.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8

from sightline.data.loaders import Images
from sightline.drawing.heat import Heat, heat, in_original
from sightline.drawing.png import fitted, png_bytes
from sightline.errors import SightlineError
from sightline.evaluation.diagnosis.stored import FOLDER
from sightline.explanation.attribution.cam import grad_cam
from sightline.explanation.attribution.gradients import saliency
from sightline.explanation.question import Choice, Question
from sightline.explanation.subject import Attribution, Refused, undisturbed
from sightline.kinds.kind import Scoring
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.storage.files import make_folder, replace_file
from sightline.structures.batch import Batch

from .progress import Training

WORST, IN_SLICE = 24, 6  # images that the report shows
SIDE = 240  # pixels of a map's longer side
MAPS = f"{FOLDER}/maps"


def write_heat_maps(
    training: Training, scoring: Scoring, evaluation: SplitEvaluation, images: Images, diagnosis: Mapping[str, Any]
) -> None:
    """diagnosis/maps/*.png of the worst images and of those of the slices, and diagnosis/maps.json, which says what they show.

    Only where one score answers for the whole image: a picture of regions or boxes shows itself where the answer comes from.
    """
    run, sensitivity = training.run, training.kind.sensitivity
    shutil.rmtree(run.folder / MAPS, ignore_errors=True)
    if sensitivity is None or sensitivity.exposure is not None:
        return
    ids = shown(scoring.worst(evaluation.judgement), diagnosis)
    place = {int(i): p for p, i in enumerate(images.id.tolist())}
    items: list[dict[str, Any]] = []
    make_folder(run.folder / MAPS)
    with training.console.working("mapping what the answers depend on", len(ids)) as phase, undisturbed(training.task):
        for i in ids:
            at = torch.tensor([place[i]])
            try:
                items.append(_write(training, i, images(at, at).to(training.device), evaluation.split))
            except (
                SightlineError
            ):  # the file has been removed or changed since the audit, or there is no question to ask
                continue
            except RuntimeError as error:  # a network of the user's own may do what a gradient cannot follow
                training.console.warn(f"the report has no heat maps: {error}")
                break
            finally:
                phase.at(phase.done + 1)
    run.write_json(f"{MAPS}.json", {"format": 1, "split": evaluation.split, "items": items})


def shown(worst: Sequence[int], diagnosis: Mapping[str, Any]) -> list[int]:
    """The ids of the images that the report shows: the worst ones, and those of the slices, each once."""
    slices = (diagnosis.get("slices") or {}).get("found", [])
    return list(dict.fromkeys([*worst[:WORST], *(i for one in slices for i in one["ids"][:IN_SLICE])]))


def _write(training: Training, id: int, batch: Batch, split: str) -> dict[str, Any]:
    """One map as a file, and what it shows."""
    natural = training.data.pixels(id)
    sensitivity = training.kind.sensitivity
    assert sensitivity is not None
    question = sensitivity.ask(training.task, batch, Choice(), training.data.classes)
    method, map = _map(question, batch.image.float())
    drawn = over(natural, map.map[0].detach().float().cpu().numpy(), batch.frame[0].cpu().numpy())
    name = f"{MAPS}/{split}-{id}.png"
    replace_file(training.run.folder / name, png_bytes(drawn.picture))
    return {
        "id": id,
        "name": training.data.records[id].name,
        "file": name,
        "method": method,
        "score": question.score,
        "evidence": drawn.scale > 0,
    }


def over(
    natural: UInt8[np.ndarray, "H W c"], values: Float[np.ndarray, "h w"], frame: Float[np.ndarray, "3 3"]
) -> Heat:
    """A map of the network's frame over the original image, which is enlarged or shrunk to what a report shows of it."""
    picture = fitted(natural, least=96, most=SIDE)
    down, across = (natural.shape[side] / picture.shape[side] for side in (0, 1))
    scaled = frame @ np.diag([across, down, 1.0])  # points of the picture → the original → the network's frame
    return heat(picture, in_original(values, scaled, (picture.shape[0], picture.shape[1])))


def _map(question: Question, pixels: torch.Tensor) -> tuple[str, Attribution]:
    targets = torch.tensor([question.target], device=pixels.device)
    try:
        return "grad_cam", grad_cam(question.subject, pixels, targets)
    except Refused:
        return "gradient", saliency(question.subject, pixels, targets)
