"""Images out of noise, step by step: diffusion and flow matching, of pixels or of the codes of an autoencoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field
from torch import nn

from sightline.data.dataset import Dataset
from sightline.data.formats.answers import as_classes
from sightline.errors import UsageError
from sightline.evaluation.generation.figures import judge_figures, read_figure_rows, write_figure_rows
from sightline.losses.denoising import cosine_schedule, linear_schedule
from sightline.models.catalogue import MODELS
from sightline.models.create import create_model
from sightline.models.generative.denoiser import NOISE
from sightline.models.generative.denoising_blocks import LONGEST
from sightline.recipes.defaults import Filled, Traits
from sightline.recipes.recipe import Count, Draft, Fraction, Recipe, TaskSection
from sightline.reports.generation.denoising import DENOISING
from sightline.reports.split_evaluation import RowsFormat
from sightline.structures.batch import Batch
from sightline.structures.predictions import Embeddings, Prediction
from sightline.tasks.generative.diffusion import Diffusion, Usual
from sightline.tasks.task import Task

from ..kind import Answers, Drawings, Keep, Kind, Networks, Scoring, Setting
from .codes import code_network, code_options, code_shape, require_codes
from .diffusion_sampling import DIFFUSION_SAMPLING, SAMPLERS, TRAINED
from .levels import signed_range
from .words import as_numbers, vocabulary, words_of

NAME = "diffusion"
STEPS_SEEN = 4_000  # optimiser steps by default
SIZES = (28, 32, 64)
SCHEDULES = {"linear": linear_schedule, "cosine": cosine_schedule}


class DiffusionSection(TaskSection):
    kind: Literal["diffusion"] = "diffusion"
    process: Literal["ddpm", "flow"] = Field("ddpm", description="what lies between noise and image")
    noise_schedule: Literal["cosine", "linear"] = Field("cosine", description="ddpm: how fast images become noise")
    conditions: Literal["none", "class", "text"] | None = Field(
        None, description="what the network is told; text: the names of the classes are captions"
    )
    drop: Fraction = Field(0.1, description="share of the images whose condition is left out, for guidance")
    guidance: float = Field(2.0, ge=0, le=100, description="weight of the condition in sampling; 1 is none")
    sampler: Literal["ddim", "ddpm", "euler", "heun"] | None = Field(None, description="ddim for ddpm, heun for flow")
    sampling_steps: Count = Field(50, le=TRAINED, description="of the sampler")
    words: Count = Field(256, ge=4, le=10_000, description="rows of the table of words")
    autoencoder: str | None = Field(None, description="a run of kind autoencoder, in whose codes diffusion takes place")
    autoencoder_options: dict[str, Any] | None = Field(None, description="its model.options, read from that run")


def section_of(recipe: Recipe) -> DiffusionSection:
    assert isinstance(recipe.task, DiffusionSection)
    return recipe.task


def conditions_of(section: DiffusionSection, classes: int) -> str:
    """What the network is told. UsageError where there is nothing of it."""
    if section.conditions in ("class", "text") and classes < 2:
        raise UsageError(f"task.conditions={section.conditions} needs classes, and the data have none", "leave it out")
    return section.conditions or ("class" if classes > 1 else "none")


def _shape(recipe: Recipe) -> tuple[int, int, int]:
    """(c, h, w) of what the network works on."""
    section = section_of(recipe)
    return recipe.input.shape if section.autoencoder is None else code_shape(section.autoencoder_options or {}, recipe)


def _check(recipe: Recipe) -> None:
    section = section_of(recipe)
    if (answers := MODELS.heading(recipe.model.name)) != NOISE:
        fitting = ", ".join(MODELS.matching(heading=NOISE))
        raise UsageError(f"{recipe.model.name} outputs {answers}, and the task needs {NOISE}", f"use {fitting}")
    if section.autoencoder is not None:
        require_codes(section.autoencoder, recipe)
    if section.sampler not in (None, *SAMPLERS[section.process]):
        raise UsageError(
            f"task.sampler={section.sampler} does not fit task.process={section.process}",
            f"use {' or '.join(SAMPLERS[section.process])}",
        )
    if section.process == "flow" and section.noise_schedule != "cosine":
        raise UsageError("task.noise_schedule has no effect with task.process=flow", "leave it out")
    if section.drop == 0 and section.guidance != 1.0 and section.conditions != "none":
        raise UsageError("task.guidance needs images without their condition", "set task.drop=0.1 or task.guidance=1")
    patch = _options(recipe).get("patch", 2)
    if any(side % patch for side in _shape(recipe)[1:]):
        raise UsageError(
            f"patches of {patch} do not fill {'x'.join(map(str, _shape(recipe)[1:]))}", "set model.options.patch=1"
        )


def _options(recipe: Recipe) -> dict[str, Any]:
    """The options of the network: codes are so few that each is a place of its own."""
    usual = {"patch": 1} if section_of(recipe).autoencoder is not None and recipe.model.name == "denoiser" else {}
    return {**usual, **recipe.model.options}


def _networks(recipe: Recipe, classes: int) -> dict[str, nn.Module]:
    section = section_of(recipe)
    told = conditions_of(section, classes)
    arguments = {
        "in_channels": _shape(recipe)[0],
        "num_classes": classes + 1 if told == "class" else 0,
        **({"words": section.words} if told == "text" else {}),
        **_options(recipe),
    }
    networks = {"model": create_model(recipe.model.name, seed=recipe.seed, **arguments)}
    if section.autoencoder is not None:
        networks["autoencoder"] = code_network(section.autoencoder, section.autoencoder_options or {}, recipe)
    return networks


def _inputs(recipe: Recipe) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"model": _shape(recipe)}
    return shapes if section_of(recipe).autoencoder is None else shapes | {"autoencoder": recipe.input.shape}


def _facts(data: Dataset, ids: np.ndarray, recipe: Recipe) -> dict[str, Any]:
    """The words of the captions of the training images, and the longest caption."""
    texts = [data.classes[i] for i in data.index[ids].tolist() if i >= 0]
    longest = max((len(words_of(text)) for text in set(texts)), default=0)
    return {"words": vocabulary(texts), "longest": min(max(longest, 1), LONGEST), "captions": list(data.classes)}


def _task(networks: Networks, setting: Setting) -> Diffusion:
    recipe, facts = setting.recipe, setting.facts
    section, classes = section_of(recipe), len(setting.amounts)
    told = conditions_of(section, classes)
    texts = None
    if told == "text":
        texts = as_numbers(facts["captions"], facts["words"], rows=section.words, length=facts["longest"])
    return Diffusion(
        networks["model"],
        shape=_shape(recipe),
        usual=Usual(
            sampler=section.sampler or SAMPLERS[section.process][0],
            steps=section.sampling_steps,
            guidance=section.guidance,
            words=tuple(facts.get("words", ())),
            rows=section.words,
        ),
        schedule=SCHEDULES[section.noise_schedule](TRAINED) if section.process == "ddpm" else None,
        classes=classes if told == "class" else 0,
        texts=texts,
        drop=section.drop,
        autoencoder=networks.get("autoencoder"),
    )


def _defaults(draft: Draft, traits: Traits) -> Filled:
    side = max(traits.height, traits.width)
    size = draft.input.size or next((size for size in SIZES if size >= side), SIZES[-1])
    batch = draft.fit.batch or 64
    epochs = draft.fit.epochs or max(round(STEPS_SEEN * batch / max(traits.n, 1), 2), 1.0)
    name = draft.optim.name or "adamw"
    return {
        "task": {"autoencoder_options": _options_of_codes(draft)},
        "model": {"name": draft.model.name or "denoiser"},
        "input": {
            "size": size,
            "width": draft.input.width or size,
            "channels": draft.input.channels or (1 if traits.grey else 3),
            "fit": draft.input.fit or ("stretch" if traits.one_aspect else "crop"),
        },
        "augment": {"preset": draft.augment.preset or "none", "flip": bool(draft.augment.flip)},
        "optim": {"name": name, "lr": draft.optim.lr or 2e-3, "weight_decay": draft.optim.weight_decay or 0.0},
        "fit": {
            "batch": batch,
            "epochs": epochs,
            "clip": 1.0 if draft.fit.clip is None else draft.fit.clip,
            "ema": draft.fit.ema if "ema" in draft.fit.model_fields_set else 0.999,
        },
    }


def _options_of_codes(draft: Draft) -> dict[str, Any] | None:
    section = draft.task
    if not isinstance(section, DiffusionSection) or section.autoencoder is None:
        return None
    return section.autoencoder_options if section.autoencoder_options is not None else code_options(section.autoencoder)


def _answers(
    task: Task, batch: Batch, prediction: Prediction, classes: Sequence[str], keep: Keep
) -> list[dict[str, Any]]:
    """How badly the noise in each image is found, at one time: an image unlike all of training is high, and noisy."""
    assert isinstance(prediction, Embeddings)
    return [{"loss": loss, "time": time} for loss, time in prediction.vector.tolist()]


def _cells(row: Mapping[str, Any]) -> tuple[str, str]:
    return f"{row['loss']:.4f}", f"{row['time']:.2f}"


DIFFUSION = Kind(
    name=NAME,
    section=DiffusionSection,
    accepts=lambda source: source.annotations is None,
    automatic=False,
    reads=as_classes,
    needs="images",
    defaults=_defaults,
    check=_check,
    facts=_facts,
    networks=_networks,
    inputs=_inputs,
    task=_task,
    output=NOISE,
    statistics=signed_range,
    answers=Answers(of=_answers, columns=("loss", "time"), heads=("loss", "time"), cells=_cells, batch=64),
    drawings=Drawings(columns=8),
    chapter=DENOISING,
    scoring=Scoring(
        rows=RowsFormat(
            write_figure_rows,
            read_figure_rows,
            lambda rows, classes: judge_figures(rows, ("loss",), better="lower"),
        ),
        monitors=(),
        headline="loss",
        batch=64,
        train_images=2_000,
        worst=lambda judgement: list(judgement.worst),
    ),
    sampling=DIFFUSION_SAMPLING,
)
