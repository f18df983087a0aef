"""Images to codes and back: plain, denoising, sparse and variational autoencoders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import nn

from sightline.drawing.png import enlarged
from sightline.drawing.png import grid as side_by_side
from sightline.errors import UsageError
from sightline.evaluation.generation.figures import judge_figures, read_figure_rows, write_figure_rows
from sightline.models.generative.autoencoders import RECONSTRUCTIONS
from sightline.preprocessing.signed import HALF, to_levels, to_signed
from sightline.recipes.assembly import build_model
from sightline.recipes.defaults import Filled, Traits
from sightline.recipes.recipe import Draft, Recipe, TaskSection
from sightline.reports.split_evaluation import RowsFormat
from sightline.structures.batch import Batch
from sightline.structures.predictions import Images as Reconstructions
from sightline.structures.predictions import Prediction
from sightline.tasks.generative.autoencoder import FIGURES, Autoencoder
from sightline.tasks.task import Task

from ..kind import Answers, Drawings, Keep, Kind, Networks, Picture, Scoring, Setting
from .levels import signed_range

NAME = "autoencoder"
STEPS_SEEN = 2_000
DECIMALS = 6  # of a number of a code in a file


class AutoencoderSection(TaskSection):
    kind: Literal["autoencoder"] = "autoencoder"
    divergence: float = Field(
        0.001, ge=0, le=1e6, description="variational: weight of the codes' divergence from N(0, 1)"
    )
    sparsity: float = Field(0.0, ge=0, le=1e6, description="weight of the mean absolute code")
    input_noise: float = Field(0.0, ge=0, le=100, description="deviation of noise on the input, of pixels in [-1, 1]")


def _section(recipe: Recipe) -> AutoencoderSection:
    assert isinstance(recipe.task, AutoencoderSection)
    return recipe.task


def _check(recipe: Recipe) -> None:
    usual = AutoencoderSection.model_fields["divergence"].default
    if _section(recipe).divergence != usual and not recipe.model.options.get("variational"):
        raise UsageError("task.divergence has no effect here", "set model.options.variational=true")
    if recipe.model.name == "autoencoder_conv":
        _networks(recipe, 0)["model"].shape(recipe.input.size, recipe.input.width)  # type: ignore[operator]


def _networks(recipe: Recipe, classes: int) -> dict[str, nn.Module]:
    return {"model": build_model(recipe, classes, RECONSTRUCTIONS)}


def _task(networks: Networks, setting: Setting) -> Autoencoder:
    section = _section(setting.recipe)
    return Autoencoder(
        networks["model"], divergence=section.divergence, sparsity=section.sparsity, noise=section.input_noise
    )


def _defaults(draft: Draft, traits: Traits) -> Filled:
    side = max(traits.height, traits.width)
    size = draft.input.size or min(side + -side % 4, 64)
    batch = draft.fit.batch or 64
    return {
        "model": {"name": draft.model.name or "autoencoder_conv"},
        "input": {
            "size": size,
            "width": draft.input.width or size,
            "channels": draft.input.channels or (1 if traits.grey else 3),
            "fit": draft.input.fit or ("stretch" if traits.one_aspect else "crop"),
        },
        "augment": {"preset": draft.augment.preset or "none", "flip": bool(draft.augment.flip)},
        "optim": {
            "name": draft.optim.name or "adamw",
            "lr": draft.optim.lr or 2e-3,
            "weight_decay": draft.optim.weight_decay or 0.0,
        },
        "fit": {
            "batch": batch,
            "epochs": draft.fit.epochs or max(round(STEPS_SEEN * batch / max(traits.n, 1), 2), 1.0),
            "clip": 1.0 if draft.fit.clip is None else draft.fit.clip,
        },
    }


def _levels(prediction: Prediction, row: int) -> Picture:
    assert isinstance(prediction, Reconstructions)
    return to_levels(prediction.image[row] / HALF - 1).permute(1, 2, 0).cpu().numpy()  # (c, h, w) → (h, w, c)


def _answers(
    task: Task, batch: Batch, prediction: Prediction, classes: Sequence[str], keep: Keep
) -> list[dict[str, Any]]:
    """PSNR and code of each image, and the file of the reconstruction if these are written."""
    assert isinstance(task, Autoencoder)
    with torch.inference_mode():
        codes = task.model.encode(to_signed(batch.image)).flatten(1).cpu().double().numpy()  # type: ignore[operator]
    figures = task.rows(batch, prediction).column("psnr").tolist()
    return [
        {
            "psnr": figures[row],
            "reconstruction": keep(id, _levels(prediction, row)),
            "code": np.round(code, DECIMALS).tolist(),
        }
        for row, (id, code) in enumerate(zip(batch.id.tolist(), codes, strict=True))
    ]


def _cells(row: Mapping[str, Any]) -> tuple[str, str]:
    return f"{row['psnr']:.1f} dB", f"{len(row['code'])} numbers"


def _beside(picture: Picture, row: Mapping[str, Any], mask: np.ndarray | None, classes: Sequence[str]) -> Picture:
    return side_by_side(
        [picture] if mask is None else [picture, mask], columns=2, least=1, captions=["image", "from its code"]
    )


def _drawn(batch: Batch, row: int, classes: Sequence[str], prediction: Prediction, threshold: float) -> Picture:
    return enlarged(_levels(prediction, row))


AUTOENCODER = Kind(
    name=NAME,
    section=AutoencoderSection,
    accepts=lambda source: source.annotations is None,
    automatic=False,
    needs="images",
    defaults=_defaults,
    check=_check,
    networks=_networks,
    task=_task,
    output=RECONSTRUCTIONS,
    statistics=signed_range,
    answers=Answers(
        of=_answers,
        columns=("psnr", "reconstruction", "code"),
        heads=("PSNR", "code"),
        cells=_cells,
        batch=64,
        folder=True,
        draw=_beside,
        confident=False,
    ),
    drawings=Drawings(answer=_drawn, columns=8),
    scoring=Scoring(
        rows=RowsFormat(
            write_figure_rows, read_figure_rows, lambda rows, classes: judge_figures(rows, FIGURES, better="higher")
        ),
        monitors=("psnr",),
        headline="psnr",
        batch=64,
        train_images=2_000,
        worst=lambda judgement: list(judgement.worst),
    ),
)
