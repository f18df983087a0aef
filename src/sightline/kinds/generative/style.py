"""Pictures in the style of others, by a network that was trained for it."""

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
from sightline.models.create import outline
from sightline.models.generative.style import LAYERS, AdainDecoder
from sightline.models.generative.translators import ResNetGenerator
from sightline.preprocessing.signed import HALF, to_levels
from sightline.randomness.keyed import torch_seeded
from sightline.recipes.defaults import Filled, Traits
from sightline.recipes.recipe import Draft, Recipe, TaskSection
from sightline.reports.generation.style import STYLES
from sightline.reports.split_evaluation import RowsFormat
from sightline.structures.batch import Batch
from sightline.structures.predictions import Images, Prediction
from sightline.tasks.generative.style import FEATURES, FIGURES, TRANSFER, Style
from sightline.tasks.task import Task

from ..kind import Answers, Drawings, Keep, Kind, Networks, Picture, Scoring, Setting
from .levels import signed_range
from .style_pictures import MOST, style_features, style_files, weights_file

NAME = "style"
STEPS_SEEN = 1_000
FEEDFORWARD, ADAIN = "feedforward", "adain"
USUAL = {FEEDFORWARD: "resnet_generator", ADAIN: "adain_decoder"}
OPTIONS: dict[str, dict[str, int]] = {FEEDFORWARD: {"base": 16, "blocks": 3}, ADAIN: {"base": 32}}
LAYER = {FEEDFORWARD: 2, ADAIN: 1}


class StyleSection(TaskSection):
    kind: Literal["style"] = "style"
    method: Literal["feedforward", "adain"] = Field(
        "feedforward", description="feedforward learns one style, adain a decoder for any"
    )
    style: str | None = Field(None, description="a picture, or a folder of pictures, whose style is learned")
    pictures: int | None = Field(None, ge=1, le=MOST, description="how many they are, counted from it")
    features: str = Field(
        "efficientnet_lite0", description="the classifier in whose features content and style are compared"
    )
    feature_weights: str = Field(
        "published", description="its weights: published (those of an installed package), or a file"
    )
    layer: int | None = Field(
        None, ge=0, lt=LAYERS, description="which of its maps the content is in (2; adain: 1, which its decoder reads)"
    )
    style_weight: float = Field(1.0, ge=0, le=1e6, description="weight of the style beside the content")
    smooth: float = Field(0.0, ge=0, le=1e6, description="weight of differences between neighbouring pixels")


def _section(recipe: Recipe) -> StyleSection:
    assert isinstance(recipe.task, StyleSection)
    return recipe.task


def _layer(section: StyleSection) -> int:
    return LAYER[section.method] if section.layer is None else section.layer


def _options(recipe: Recipe) -> dict[str, int]:
    known = OPTIONS[_section(recipe).method]
    for name, value in recipe.model.options.items():
        if name not in known or not isinstance(value, int) or value < 1:
            raise UsageError(
                f"model.options.{name}={value!r} is no option of {recipe.model.name}",
                f"use {' or '.join(known)}, whole and positive",
            )
    return {**known, **recipe.model.options}


def _check(recipe: Recipe) -> None:
    section = _section(recipe)
    if section.style is None:
        raise UsageError("task.kind=style needs a style", "set task.style to a picture or a folder of pictures")
    if recipe.model.name != USUAL[section.method]:
        raise UsageError(
            f"model.name={recipe.model.name} does not fit task.method={section.method}", f"use {USUAL[section.method]}"
        )
    if recipe.input.channels != 3:
        raise UsageError(f"input.channels={recipe.input.channels} are not colours", "use 3")
    if recipe.input.size % 16 or recipe.input.width % 16:
        raise UsageError(
            f"{recipe.input.size}x{recipe.input.width} cannot be halved four times", "use sides that 16 divides"
        )
    _options(recipe)
    weights_file(section.features, section.feature_weights)


def _map_of(section: StyleSection) -> tuple[int, int]:
    """Channels and stride of the content's map."""
    network: Any = outline(section.features, num_classes=0)
    side = 64
    with torch.device("meta"):
        maps = network.eval().features(torch.zeros(1, 3, side, side))
    chosen = maps[_layer(section)]
    return int(chosen.shape[1]), side // int(chosen.shape[2])


def _networks(recipe: Recipe, classes: int) -> dict[str, nn.Module]:
    section, options = _section(recipe), _options(recipe)
    with torch_seeded(recipe.seed, "initialise"):
        if section.method == ADAIN:
            transfer: nn.Module = AdainDecoder(*_map_of(section), **options)
        else:
            transfer = ResNetGenerator(recipe.input.shape, 3, **options)
    features = style_features(
        section.features, section.feature_weights, section.style, section.pictures or 1, *recipe.input.shape[1:]
    )
    return {TRANSFER: transfer, FEATURES: features}


def _inputs(recipe: Recipe) -> dict[str, tuple[int, ...]]:
    shape = recipe.input.shape
    if _section(recipe).method == FEEDFORWARD:
        return {TRANSFER: shape, FEATURES: shape}
    channels, stride = _map_of(_section(recipe))
    return {TRANSFER: (channels, shape[1] // stride, shape[2] // stride), FEATURES: shape}


def _task(networks: Networks, setting: Setting) -> Style:
    section = _section(setting.recipe)
    return Style(
        networks[TRANSFER],
        networks[FEATURES],
        method=section.method,
        layer=_layer(section),
        weight=section.style_weight,
        smooth=section.smooth,
    )


def _defaults(draft: Draft, traits: Traits) -> Filled:
    section = draft.task if isinstance(draft.task, StyleSection) else StyleSection()
    side = max(traits.height, traits.width)
    size = draft.input.size or max(min(side // 16 * 16, 128), 32)
    batch = draft.fit.batch or 8
    counted = section.pictures
    if counted is None and section.style is not None:
        counted = len(style_files(section.style))
    return {
        "task": {"pictures": counted},
        "model": {"name": draft.model.name or USUAL[section.method]},
        "input": {
            "size": size,
            "width": draft.input.width or size,
            "channels": draft.input.channels or 3,
            "fit": draft.input.fit or "crop",
        },
        "augment": {"preset": draft.augment.preset or "none", "flip": bool(draft.augment.flip)},
        "optim": {
            "name": draft.optim.name or "adamw",
            "lr": draft.optim.lr or 1e-3,
            "weight_decay": draft.optim.weight_decay or 0.0,
        },
        "fit": {
            "batch": batch,
            "epochs": draft.fit.epochs or max(round(STEPS_SEEN * batch / max(traits.n, 1), 2), 1.0),
            "clip": 1.0 if draft.fit.clip is None else draft.fit.clip,
        },
    }


def _levels(prediction: Prediction, row: int) -> Picture:
    assert isinstance(prediction, Images)
    return to_levels(prediction.image[row] / HALF - 1).permute(1, 2, 0).cpu().numpy()  # (c, h, w) → (h, w, c)


def _answers(
    task: Task, batch: Batch, prediction: Prediction, classes: Sequence[str], keep: Keep
) -> list[dict[str, Any]]:
    """What is left of both losses, and the file of the picture if these are written."""
    rows = task.rows(batch, prediction)
    content, style = rows.column("content_left").tolist(), rows.column("style_left").tolist()
    return [
        {"content_left": content[row], "style_left": style[row], "picture": keep(id, _levels(prediction, row))}
        for row, id in enumerate(batch.id.tolist())
    ]


def _cells(row: Mapping[str, Any]) -> tuple[str, str]:
    left = f"{100 * row['content_left']:.0f} % of the content loss, {100 * row['style_left']:.0f} % of the style loss"
    return left, row["picture"] or ""


def _beside(picture: Picture, row: Mapping[str, Any], mask: np.ndarray | None, classes: Sequence[str]) -> Picture:
    panels = [picture] if mask is None else [picture, mask]
    return side_by_side(panels, columns=2, least=1, captions=["image", "in the style"][: len(panels)])


def _drawn(batch: Batch, row: int, classes: Sequence[str], prediction: Prediction, threshold: float) -> Picture:
    return enlarged(_levels(prediction, row))


STYLE = Kind(
    name=NAME,
    section=StyleSection,
    accepts=lambda source: source.annotations is None,
    automatic=False,
    needs="images",
    defaults=_defaults,
    check=_check,
    networks=_networks,
    inputs=_inputs,
    task=_task,
    statistics=signed_range,
    answers=Answers(
        of=_answers,
        columns=("content_left", "style_left", "picture"),
        heads=("left of the losses of noise", "picture"),
        cells=_cells,
        batch=4,
        folder=True,
        artificial=True,
        draw=_beside,
        confident=False,
    ),
    drawings=Drawings(answer=_drawn, columns=4),
    chapter=STYLES,
    scoring=Scoring(
        rows=RowsFormat(
            write_figure_rows, read_figure_rows, lambda rows, classes: judge_figures(rows, FIGURES, better="lower")
        ),
        monitors=("content_left", "style_left"),
        headline="loss",
        falling=("content_left", "style_left"),
        batch=8,
        train_images=50,
        worst=lambda judgement: list(judgement.worst),
    ),
)
