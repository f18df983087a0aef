"""Images of one domain to images of another: pix2pix on pairs, CycleGAN without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field
from torch import nn

from sightline.data.dataset import Dataset
from sightline.data.loaders import Images
from sightline.data.orders import Order
from sightline.drawing.png import enlarged
from sightline.drawing.png import grid as side_by_side
from sightline.errors import UsageError
from sightline.evaluation.generation.figures import read_figure_rows, write_figure_rows
from sightline.evaluation.generation.translations import METRICS, judge_translations
from sightline.models.generative.translators import TRANSLATORS, PatchCritic, Translator
from sightline.preprocessing.signed import HALF, to_levels
from sightline.randomness.keyed import torch_seeded
from sightline.recipes.defaults import Filled, Traits
from sightline.recipes.recipe import Draft, Recipe, TaskSection
from sightline.registry import lookup
from sightline.reports.generation.translation import TRANSLATIONS
from sightline.reports.split_evaluation import RowsFormat
from sightline.structures.batch import Batch
from sightline.structures.predictions import Images as Translated
from sightline.structures.predictions import Prediction
from sightline.structures.targets import Pictures
from sightline.tasks.generative.translation import (
    BACK,
    CRITIC,
    GENERATOR,
    OF_SOURCE,
    OF_TARGET,
    THERE,
    CycleTranslation,
    PairedTranslation,
)
from sightline.tasks.task import Task

from ..kind import Answers, Drawings, Keep, Kind, Networks, Picture, Scoring, Setting, plain
from .domains import PICTURES, as_pictures, both_domains, load_pictures, source_index
from .levels import signed_range

NAME = "translation"
STEPS_SEEN = 2_000
PIX2PIX, CYCLEGAN = "pix2pix", "cyclegan"
USUAL = {PIX2PIX: "unet_generator", CYCLEGAN: "resnet_generator"}
_OWN_KEYS = {"l1": PIX2PIX, "cycle": CYCLEGAN, "identity": CYCLEGAN, "pool": CYCLEGAN}


class TranslationSection(TaskSection):
    kind: Literal["translation"] = "translation"
    method: Literal["pix2pix", "cyclegan"] = Field(
        "pix2pix", description="pix2pix learns from pairs of pictures, cyclegan from two folders without pairs"
    )
    source: str | None = Field(None, description="the domain that is translated: the first by name")
    l1: float = Field(100.0, ge=0, le=1e6, description="pix2pix: weight of the mean difference from the partner")
    cycle: float = Field(10.0, ge=0, le=1e6, description="cyclegan: weight of the way there and back")
    identity: float = Field(
        0.5,
        ge=0,
        le=1e6,
        description="cyclegan: weight, in multiples of cycle, of changing what is of the target already",
    )
    pool: int = Field(50, ge=0, le=10_000, description="cyclegan: earlier images that the critics see again")


def _section(recipe: Recipe) -> TranslationSection:
    assert isinstance(recipe.task, TranslationSection)
    return recipe.task


def _paired(recipe: Recipe) -> bool:
    return _section(recipe).method == PIX2PIX


def _translator(recipe: Recipe) -> tuple[Translator, dict[str, Any]]:
    """The generator's entry, and its options with those of the recipe. UsageError for one that it does not have."""
    translator = lookup("translating network", recipe.model.name, TRANSLATORS)
    for name, value in recipe.model.options.items():
        usual = lookup(f"option of {recipe.model.name}", name, translator.options)
        if type(value) is not type(usual) or value <= 0:
            raise UsageError(f"model.options.{name}={value!r} is not like {usual!r}", "use a positive whole number")
    return translator, {**translator.options, **recipe.model.options}


def _check(recipe: Recipe) -> None:
    section = _section(recipe)
    for key, method in _OWN_KEYS.items():
        if method != section.method and getattr(section, key) != TranslationSection.model_fields[key].default:
            raise UsageError(f"task.{key} has no effect with task.method={section.method}", "leave it out")
    if not _paired(recipe) and recipe.fit.batch % 2:
        raise UsageError(f"fit.batch={recipe.fit.batch} is odd", "use an even one: half of it is of each domain")
    _translator(recipe)


def _critic_shape(recipe: Recipe) -> tuple[int, int, int]:
    channels, height, width = recipe.input.shape
    return (2 * channels if _paired(recipe) else channels, height, width)


def _networks(recipe: Recipe, classes: int) -> dict[str, nn.Module]:
    translator, options = _translator(recipe)
    shape, of_critic = recipe.input.shape, {name: options[name] for name in translator.of_critic}
    pool = 0 if _paired(recipe) else _section(recipe).pool
    names = (GENERATOR, CRITIC) if _paired(recipe) else (THERE, BACK, OF_TARGET, OF_SOURCE)
    with torch_seeded(recipe.seed, "initialise"):
        return {
            name: PatchCritic(_critic_shape(recipe), pool=pool, **of_critic)
            if name.startswith(CRITIC)
            else translator.generator(shape, shape[0], **options)
            for name in names
        }


def _inputs(recipe: Recipe) -> dict[str, tuple[int, ...]]:
    if _paired(recipe):
        return {GENERATOR: recipe.input.shape, CRITIC: _critic_shape(recipe)}
    return dict.fromkeys((THERE, BACK, OF_TARGET, OF_SOURCE), recipe.input.shape)


def _facts(data: Dataset, ids: np.ndarray, recipe: Recipe) -> dict[str, Any]:
    return {"domains": list(data.classes)}


def _task(networks: Networks, setting: Setting) -> Task:
    section = _section(setting.recipe)
    source = source_index(section.source, setting.facts["domains"])
    if _paired(setting.recipe):
        return PairedTranslation(networks[GENERATOR], networks[CRITIC], l1=section.l1, source=source)
    return CycleTranslation(
        *(networks[name] for name in (THERE, BACK, OF_TARGET, OF_SOURCE)),
        cycle=section.cycle,
        identity=section.identity,
        source=source,
    )


def _load(data: Dataset, ids: np.ndarray, preprocessing: Any, recipe: Recipe, **how: Any) -> Images:
    return load_pictures(
        data, ids, preprocessing, recipe, paired=_paired(recipe), source=_section(recipe).source, **how
    )


def _order(recipe: Recipe, data: Dataset, images: Images) -> Order | None:
    return None if _paired(recipe) else both_domains(images)


def _defaults(draft: Draft, traits: Traits) -> Filled:
    section = draft.task if isinstance(draft.task, TranslationSection) else TranslationSection()
    side = max(traits.height, traits.width)
    size = draft.input.size or min(side + -side % 4, 128)
    batch = draft.fit.batch or (16 if size <= 64 else 4)
    filled: dict[str, Any] = {"name": draft.optim.name or "adam", "lr": draft.optim.lr or 2e-4}
    if filled["name"] in ("adam", "adamw"):  # a short memory, as in both papers
        filled["beta1"] = 0.5 if draft.optim.beta1 is None else draft.optim.beta1
    return {
        "model": {"name": draft.model.name or USUAL[section.method]},
        "input": {
            "size": size,
            "width": draft.input.width or size,
            "channels": draft.input.channels or (1 if traits.grey else 3),
            "fit": draft.input.fit or ("stretch" if traits.one_aspect else "crop"),
        },
        "augment": {"preset": draft.augment.preset or "none", "flip": bool(draft.augment.flip)},
        "optim": filled,
        "fit": {
            "batch": batch,
            "epochs": draft.fit.epochs or max(round(STEPS_SEEN * batch / max(traits.n, 1), 2), 1.0),
        },
    }


def _levels(prediction: Prediction, row: int) -> Picture:
    assert isinstance(prediction, Translated)
    return to_levels(prediction.image[row] / HALF - 1).permute(1, 2, 0).cpu().numpy()  # (c, h, w) → (h, w, c)


def _answers(
    task: Task, batch: Batch, prediction: Prediction, classes: Sequence[str], keep: Keep
) -> list[dict[str, Any]]:
    """The file of each translation if these are written, and the domain it is of."""
    assert isinstance(task, PairedTranslation | CycleTranslation)
    target = classes[1 - task.source]
    return [
        {"to": target, "translation": keep(id, _levels(prediction, row))} for row, id in enumerate(batch.id.tolist())
    ]


def _cells(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["to"], row["translation"] or ""


def _beside(picture: Picture, row: Mapping[str, Any], mask: np.ndarray | None, classes: Sequence[str]) -> Picture:
    panels = [picture] if mask is None else [picture, mask]
    return side_by_side(panels, columns=2, least=1, captions=["image", f"made: {row['to']}"][: len(panels)])


def _truth(batch: Batch, row: int, classes: Sequence[str]) -> Picture:
    """The partner; a grey field where there is none."""
    target, image = batch.target, plain(batch, row)
    if not isinstance(target, Pictures) or not bool(target.known[row]):
        return enlarged(np.full_like(image, 192))
    height, width, _ = image.shape
    return enlarged(target.image[row, :, :height, :width].permute(1, 2, 0).cpu().numpy())  # (c, h, w) → (h, w, c)


def _drawn(batch: Batch, row: int, classes: Sequence[str], prediction: Prediction, threshold: float) -> Picture:
    return enlarged(_levels(prediction, row))


TRANSLATION = Kind(
    name=NAME,
    section=TranslationSection,
    accepts=lambda source: source.kind == PICTURES,
    automatic=False,
    reads=as_pictures,
    facts=_facts,
    needs="images",
    defaults=_defaults,
    check=_check,
    networks=_networks,
    inputs=_inputs,
    task=_task,
    load=_load,
    statistics=signed_range,
    order=_order,
    answers=Answers(
        of=_answers,
        columns=("to", "translation"),
        heads=("to", "translation"),
        cells=_cells,
        batch=8,
        folder=True,
        artificial=True,
        draw=_beside,
        confident=False,
    ),
    drawings=Drawings(truth=_truth, answer=_drawn, columns=4),
    chapter=TRANSLATIONS,
    scoring=Scoring(
        rows=RowsFormat(write_figure_rows, read_figure_rows, lambda rows, classes: judge_translations(rows)),
        monitors=METRICS[:2],
        headline="psnr",
        validation_loss=False,
        batch=16,
        train_images=50,
        worst=lambda judgement: list(judgement.worst),
    ),
)
