"""One face moved as another, and put in its place: the pipeline of FSGAN, trained on faces with known landmarks and masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import nn

from sightline.data.dataset import Dataset
from sightline.data.loaders import Images
from sightline.data.orders import Order, by_identity
from sightline.drawing.png import enlarged
from sightline.drawing.png import grid as side_by_side
from sightline.errors import UsageError
from sightline.evaluation.generation.faces import judge_faces
from sightline.evaluation.generation.figures import read_figure_rows, write_figure_rows
from sightline.models.create import create_model
from sightline.models.generative.landmarks import LandmarkNetwork
from sightline.models.generative.translators import PatchCritic, UNetGenerator
from sightline.preprocessing.signed import HALF, to_levels, to_signed
from sightline.randomness.keyed import torch_seeded
from sightline.recipes.defaults import Filled, Traits
from sightline.recipes.recipe import Draft, Recipe, TaskSection
from sightline.reports.generation.faces import FACE_CHAPTER
from sightline.reports.split_evaluation import RowsFormat
from sightline.structures.batch import Batch
from sightline.structures.frames import inverse
from sightline.structures.predictions import Images as Panels
from sightline.structures.predictions import Prediction
from sightline.structures.targets import Several
from sightline.tasks.faces.landmarks import to_pixels
from sightline.tasks.faces.pipeline import classes_of
from sightline.tasks.faces.swapping import CRITIC, OTHER, PANELS, FaceSwap, pictures_of
from sightline.tasks.task import Task

from ..generative.levels import signed_range
from ..kind import Answers, Drawings, Keep, Kind, Networks, Picture, Scoring, Setting, plain
from .data import FACES, POINTS, as_faces, identities, load_faces

NAME = "face_swap"
MODEL = "fsgan"
SIZE, BATCH, STEPS = 64, 16, 1_000
OPTIONS = {"base": 24, "segmenter": 12}  # channels of the finest maps: of the generators, of the segmenter
SMALLEST = 32
CLASSES = 3  # background, face, hair


class FaceSwapSection(TaskSection):
    kind: Literal["face_swap"] = "face_swap"
    critic_weight: float = Field(
        0.02, ge=0, le=1e6, description="weight of the critic beside the differences from the truth"
    )
    pose_steps: int = Field(2, ge=1, le=20, description="turns of the pose in which a face is re-enacted")


def _section(recipe: Recipe) -> FaceSwapSection:
    assert isinstance(recipe.task, FaceSwapSection)
    return recipe.task


def _options(recipe: Recipe) -> dict[str, int]:
    for name, value in recipe.model.options.items():
        if name not in OPTIONS or not isinstance(value, int) or value < 1:
            raise UsageError(
                f"model.options.{name}={value!r} is no option of {MODEL}",
                f"use {' or '.join(OPTIONS)}, whole and positive",
            )
    return {**OPTIONS, **recipe.model.options}


def _check(recipe: Recipe) -> None:
    if recipe.model.name != MODEL:
        raise UsageError(f"model.name={recipe.model.name} makes no faces", f"use {MODEL}")
    if recipe.input.channels != 3:
        raise UsageError(f"input.channels={recipe.input.channels} are not colours", "use 3")
    if recipe.input.size != recipe.input.width or recipe.input.size % 16 or recipe.input.size < SMALLEST:
        raise UsageError(
            f"faces of {recipe.input.size}x{recipe.input.width} cannot be halved four times", "set input.size=64 or 128"
        )
    if recipe.fit.batch % 2:
        raise UsageError(f"fit.batch={recipe.fit.batch} is odd", "use an even one: two images of each face")
    if recipe.augment.preset != "none" or recipe.augment.flip:
        raise UsageError("augmentation would move images without their landmarks", "set augment.preset=none")
    _options(recipe)


def _shapes(recipe: Recipe) -> dict[str, Any]:
    _, height, width = recipe.input.shape
    inputs = {
        "reenactment": 3 + POINTS, "inpainting": 4, "blending": 7, "landmarks": 3, "segmenter": 3, CRITIC: 3,
    }  # fmt: skip
    return {name: (channels, height, width) for name, channels in inputs.items()}


def _networks(recipe: Recipe, classes: int) -> dict[str, nn.Module]:
    shapes, options = _shapes(recipe), _options(recipe)
    base, rest = options["base"], max(options["base"] * 2 // 3, 1)
    with torch_seeded(recipe.seed, "initialise"):
        networks: dict[str, nn.Module] = {
            "reenactment": UNetGenerator(shapes["reenactment"], 3, base=base),
            "inpainting": UNetGenerator(shapes["inpainting"], 3, base=rest),
            "blending": UNetGenerator(shapes["blending"], 3, base=rest),
            "landmarks": LandmarkNetwork(shapes["landmarks"], POINTS),
            CRITIC: PatchCritic(shapes[CRITIC], base=rest),
        }
    width = options["segmenter"]
    networks["segmenter"] = create_model(
        "unet", seed=recipe.seed, in_channels=3, num_classes=CLASSES, width=width, depth=3, norm="batch"
    )
    return networks


def _task(networks: Networks, setting: Setting) -> FaceSwap:
    section = _section(setting.recipe)
    return FaceSwap(dict(networks), adversarial=section.critic_weight, steps=section.pose_steps)


def _order(recipe: Recipe, data: Dataset, images: Images) -> Order | None:
    return by_identity(identities(data, images.id.numpy()), 2)


def _defaults(draft: Draft, traits: Traits) -> Filled:
    size = draft.input.size or SIZE
    batch = draft.fit.batch or BATCH
    filled: dict[str, Any] = {"name": draft.optim.name or "adam", "lr": draft.optim.lr or 1e-3}
    if filled["name"] in ("adam", "adamw"):
        filled["beta1"] = 0.5 if draft.optim.beta1 is None else draft.optim.beta1
    return {
        "model": {"name": draft.model.name or MODEL},
        "input": {
            "size": size,
            "width": draft.input.width or size,
            "channels": draft.input.channels or 3,
            "fit": draft.input.fit or "stretch",
        },
        "augment": {"preset": draft.augment.preset or "none", "flip": bool(draft.augment.flip)},
        "optim": filled,
        "fit": {
            "batch": batch,
            "epochs": draft.fit.epochs or max(round(STEPS * batch / max(traits.n, 1), 2), 1.0),
        },
    }


def panels_of(prediction: Prediction, row: int) -> list[Picture]:
    """The panels of `PANELS`, as pictures."""
    assert isinstance(prediction, Panels)
    image = to_levels(prediction.image[row] / HALF - 1).permute(1, 2, 0).cpu().numpy()  # (c, h, w) → (h, w, c)
    return [image[:, i * len(image) : (i + 1) * len(image)] for i in range(len(PANELS))]


def _answers(
    task: Task, batch: Batch, prediction: Prediction, classes: Sequence[str], keep: Keep
) -> list[dict[str, Any]]:
    """Landmarks in pixels of the original image, and the file of the mask if these are written."""
    assert isinstance(task, FaceSwap)
    with torch.inference_mode():
        image = to_signed(batch.image)
        points = to_pixels(task.landmarks(image).float(), *image.shape[2:]).cpu().double().numpy()
        masks = classes_of(task, image).cpu().numpy().astype(np.uint8)
    rows = []
    for row, id in enumerate(batch.id.tolist()):
        back = inverse(batch.frame[row].cpu().double().numpy())
        moved = points[row, :, :2] * back[[0, 1], [0, 1]] + back[:2, 2]
        depth = points[row, :, 2:] * back[0, 0]
        height, width = batch.natural[row].tolist()
        mask = _stretched(masks[row], back, height, width)
        rows.append({"landmarks": np.round(np.hstack([moved, depth]), 2).tolist(), "mask": keep(id, mask)})
    return rows


def _stretched(mask: np.ndarray, back: np.ndarray, height: int, width: int) -> np.ndarray:
    """The mask in the pixels of the original, by its nearest pixels."""
    y, x = ((np.arange(n) + 0.5 - back[k, 2]) / back[k, k] for n, k in ((height, 1), (width, 0)))
    rows, columns = (np.clip(np.floor(v).astype(int), 0, n - 1) for v, n in zip((y, x), mask.shape, strict=True))
    return mask[rows][:, columns]


def _cells(row: Mapping[str, Any]) -> tuple[str, str]:
    (x, y, _), *_ = row["landmarks"][30:31]
    return f"{len(row['landmarks'])} landmarks, nose at {x:.0f}, {y:.0f}", row["mask"] or ""


def _painted(picture: Picture, row: Mapping[str, Any], mask: np.ndarray | None, classes: Sequence[str]) -> Picture:
    drawn = enlarged(picture).copy()
    factor = len(drawn) / len(picture)
    for x, y, _ in row["landmarks"]:
        i, j = int(y * factor), int(x * factor)
        drawn[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2] = (0, 200, 0)
    return drawn


def _truth(batch: Batch, row: int, classes: Sequence[str]) -> Picture:
    """The face that is put in, where there is one."""
    if not isinstance(batch.target, Several) or OTHER not in batch.target.by_name:
        return enlarged(plain(batch, row))
    return enlarged(pictures_of(batch, OTHER)[row].permute(1, 2, 0).cpu().numpy())


def _drawn(batch: Batch, row: int, classes: Sequence[str], prediction: Prediction, threshold: float) -> Picture:
    """Each step."""
    steps = [enlarged(panel) for panel in panels_of(prediction, row)[1:]]
    return side_by_side(steps, columns=len(steps), captions=PANELS[1:])


FACE_SWAP = Kind(
    name=NAME,
    section=FaceSwapSection,
    accepts=lambda source: source.kind == FACES,
    automatic=False,
    reads=as_faces,
    needs="images",
    defaults=_defaults,
    check=_check,
    networks=_networks,
    inputs=_shapes,
    task=_task,
    load=load_faces,
    statistics=signed_range,
    order=_order,
    answers=Answers(
        of=_answers,
        columns=("landmarks", "mask"),
        heads=("landmarks", "mask"),
        cells=_cells,
        batch=16,
        folder=True,
        draw=_painted,
        confident=False,
    ),
    drawings=Drawings(truth=_truth, answer=_drawn, columns=4),
    chapter=FACE_CHAPTER,
    scoring=Scoring(
        rows=RowsFormat(write_figure_rows, read_figure_rows, lambda rows, classes: judge_faces(rows)),
        monitors=("psnr", "landmark_error"),
        headline="psnr",
        falling=("landmark_error",),
        validation_loss=False,
        batch=16,
        train_images=50,
        worst=lambda judgement: list(judgement.worst),
    ),
)
