"""Images with one attribute changed (AttGAN), on data with several labels an image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field
from torch import nn

from sightline.data.dataset import Dataset
from sightline.data.formats.answers import as_tags
from sightline.drawing.png import enlarged
from sightline.drawing.png import grid as side_by_side
from sightline.errors import UsageError
from sightline.evaluation.generation.edits import METRICS, judge_edits
from sightline.evaluation.generation.figures import read_figure_rows, write_figure_rows
from sightline.models.generative.editors import OPTIONS, AttributeCritic, Editor, require_halvings
from sightline.preprocessing.signed import HALF, to_levels, to_signed
from sightline.randomness.keyed import torch_seeded
from sightline.recipes.defaults import Filled, Traits
from sightline.recipes.loading import Truths
from sightline.recipes.recipe import Count, Draft, Recipe, TaskSection
from sightline.registry import lookup
from sightline.reports.generation.attributes import ATTRIBUTES as CHAPTER
from sightline.reports.split_evaluation import RowsFormat
from sightline.runtime.choosing import Choice
from sightline.structures.batch import Batch
from sightline.structures.predictions import Images as Edits
from sightline.structures.predictions import Prediction
from sightline.structures.targets import Target, Values
from sightline.tasks.generative.attributes import CRITIC, GENERATOR, Attributes, parted
from sightline.tasks.task import Task

from ..annotated import annotated_target
from ..kind import Answers, Drawings, Keep, Kind, Networks, Picture, Scoring, Setting, plain
from .levels import signed_range

NAME, NETWORK = "attributes", "attgan"
STEPS_SEEN = 3_000


class AttributesSection(TaskSection):
    kind: Literal["attributes"] = "attributes"
    reconstruction: float = Field(
        100.0, ge=0, le=1e6, description="weight of the mean difference of the reconstruction"
    )
    attribute: float = Field(10.0, ge=0, le=1e6, description="weight of the attributes that an edit is to have")
    classify: float = Field(
        1.0, ge=0, le=1e6, description="weight of the attributes of real images in the critic's turn"
    )
    penalty: float = Field(10.0, gt=0, le=1e6, description="weight of the gradient penalty")
    critic_steps: Count = Field(5, le=100, description="turns of the critic for one of the generator")


def _section(recipe: Recipe) -> AttributesSection:
    assert isinstance(recipe.task, AttributesSection)
    return recipe.task


def _options(recipe: Recipe) -> dict[str, Any]:
    """The options of the networks. UsageError for one that they do not have."""
    lookup("editing network", recipe.model.name, {NETWORK: OPTIONS})
    for name, value in recipe.model.options.items():
        usual = lookup(f"option of {NETWORK}", name, OPTIONS)
        if type(value) is not type(usual) or value < (0 if name == "skips" else 1):
            raise UsageError(f"model.options.{name}={value!r} is not like {usual!r}", "use a positive whole number")
    return {**OPTIONS, **recipe.model.options}


def _check(recipe: Recipe) -> None:
    require_halvings(NETWORK, recipe.input.shape, _options(recipe)["depth"])


def _networks(recipe: Recipe, classes: int) -> dict[str, nn.Module]:
    options = _options(recipe)
    body = {name: options[name] for name in ("base", "depth")}
    with torch_seeded(recipe.seed, "initialise"):
        return {
            GENERATOR: Editor(recipe.input.shape, classes, **options),
            CRITIC: AttributeCritic(recipe.input.shape, classes, **body),
        }


def _inputs(recipe: Recipe) -> dict[str, tuple[int, ...]]:
    return dict.fromkeys((GENERATOR, CRITIC), recipe.input.shape)


def _task(networks: Networks, setting: Setting) -> Attributes:
    section = _section(setting.recipe)
    weights = section.model_dump(exclude={"kind"})
    return Attributes(networks[GENERATOR], networks[CRITIC], names=setting.facts["attributes"], **weights)


def _facts(data: Dataset, ids: np.ndarray, recipe: Recipe) -> dict[str, Any]:
    return {"attributes": list(data.classes)}


def _defaults(draft: Draft, traits: Traits) -> Filled:
    side = max(traits.height, traits.width)
    size = draft.input.size or min(side + -side % 8, 64)
    batch = draft.fit.batch or 32
    name = draft.optim.name or "adam"
    optim: dict[str, Any] = {"name": name, "lr": draft.optim.lr or 2e-4}
    if name in ("adam", "adamw"):  # a short memory, as in the paper
        optim["beta1"] = 0.5 if draft.optim.beta1 is None else draft.optim.beta1
    return {
        "model": {"name": draft.model.name or NETWORK},
        "input": {
            "size": size,
            "width": draft.input.width or size,
            "channels": draft.input.channels or (1 if traits.grey else 3),
            "fit": draft.input.fit or ("stretch" if traits.one_aspect else "crop"),
        },
        "augment": {"preset": draft.augment.preset or "none", "flip": bool(draft.augment.flip)},
        "optim": optim,
        "fit": {
            "batch": batch,
            "epochs": draft.fit.epochs or max(round(STEPS_SEEN * batch / max(traits.n, 1), 2), 1.0),
        },
    }


def _pictures(prediction: Prediction, row: int, channels: int) -> list[Picture]:
    """The reconstruction and each edit of an image."""
    assert isinstance(prediction, Edits)
    levels = to_levels(prediction.image[row : row + 1] / HALF - 1)
    return [part[0].permute(1, 2, 0).cpu().numpy() for part in parted(levels, channels)]  # (c, h, w) → (h, w, c)


def _signed(name: str, has: bool) -> str:
    """An edit in words: an attribute that the image has is taken away."""
    return f"- {name}" if has else f"+ {name}"


def _answers(
    task: Task, batch: Batch, prediction: Prediction, classes: Sequence[str], keep: Keep
) -> list[dict[str, Any]]:
    """The probability of each attribute of the image, the edits in words, and the file with the edits beside each other."""
    assert isinstance(task, Attributes)
    probability = task.critic(to_signed(batch.image)).logits.sigmoid().cpu()
    own = task.attributes_of(batch).cpu() > 0.5
    rows = []
    for row, id in enumerate(batch.id.tolist()):
        strip = np.concatenate(_pictures(prediction, row, batch.image.shape[1])[1:], 1)  # (h, w, c) → (h, k·w, c)
        rows.append({
            "attributes": dict(zip(classes, probability[row].tolist(), strict=True)),
            "edits": [_signed(name, bool(has)) for name, has in zip(classes, own[row], strict=True)],
            "edited": keep(id, strip),
        })  # fmt: skip
    return rows


def chosen_edits(strip: np.ndarray, choice: Choice, classes: Sequence[str]) -> np.ndarray:
    """The edits of the chosen attributes, of a picture (h, k·w, c) with one edit an attribute."""
    kept = [part for name, part in zip(classes, np.split(strip, len(classes), 1), strict=True) if choice.names(name)]
    return np.concatenate(kept, 1)


def _choose(row: Mapping[str, Any], choice: Choice) -> dict[str, Any]:
    attributes = {name: p for name, p in row["attributes"].items() if choice.names(name)}
    return {**row, "attributes": attributes, "edits": [edit for edit in row["edits"] if choice.names(edit[2:])]}


def _cells(row: Mapping[str, Any]) -> tuple[str, str]:
    return ", ".join(row["edits"]), row["edited"] or ""


def _lines(row: dict[str, Any]) -> list[dict[str, Any]]:
    """One line an image; its edits stand between vertical bars."""
    return [row if "error" in row else row | {"edits": "|".join(row["edits"])}]


def _beside(picture: Picture, row: Mapping[str, Any], mask: np.ndarray | None, classes: Sequence[str]) -> Picture:
    edits = [] if mask is None else np.split(mask, len(row["edits"]), 1)
    captions = ["image", *row["edits"]][: 1 + len(edits)]
    return side_by_side([picture, *edits], columns=1 + len(edits), captions=captions)


def _drawn(batch: Batch, row: int, classes: Sequence[str], prediction: Prediction, threshold: float) -> Picture:
    pictures = _pictures(prediction, row, batch.image.shape[1])
    target, captions = batch.target, ["again"]
    for j, name in enumerate(classes):
        has = isinstance(target, Values) and bool(target.value[row, j] > 0.5)
        captions.append(_signed(name, has))
    columns = math.ceil(math.sqrt(len(pictures)))  # as square as the image beside it
    return side_by_side([enlarged(p, least=96) for p in pictures], columns=columns, captions=captions)


def _as_seen(batch: Batch, row: int, classes: Sequence[str]) -> Picture:
    return enlarged(plain(batch, row))


def _label(target: Target, row: int, classes: Sequence[str]) -> str | None:
    if not isinstance(target, Values) or not bool(target.known[row].any()):
        return None
    own = [name for name, value in zip(classes, target.value[row].tolist(), strict=True) if value == 1]
    return ", ".join(own) or "none"


ATTRIBUTES = Kind(
    name=NAME,
    section=AttributesSection,
    accepts=lambda source: source.annotations is not None and source.annotations.knows == "tags",
    automatic=False,
    reads=as_tags,
    facts=_facts,
    defaults=_defaults,
    check=_check,
    networks=_networks,
    inputs=_inputs,
    task=_task,
    truths=Truths(annotated_target, lambda data, ids, pixels, natural: 8 * len(data.classes) + 0 * pixels),
    statistics=signed_range,
    answers=Answers(
        of=_answers,
        columns=("edits", "edited"),
        heads=("edits", "edited"),
        cells=_cells,
        lines=_lines,
        batch=16,
        folder=True,
        artificial=True,
        draw=_beside,
        choose=_choose,
        select=chosen_edits,
        confident=False,
    ),
    drawings=Drawings(truth=_as_seen, answer=_drawn, label=_label, columns=8),
    chapter=CHAPTER,
    scoring=Scoring(
        rows=RowsFormat(write_figure_rows, read_figure_rows, lambda rows, classes: judge_edits(rows)),
        monitors=METRICS,
        headline="edited",
        validation_loss=False,
        batch=64,
        train_images=200,
        worst=lambda judgement: list(judgement.worst),
    ),
)
