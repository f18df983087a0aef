"""Images from noise: a generator and its critic, with or without classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.evaluation.generation.sets import judge_sets, read_set_rows, write_set_rows
from sightline.losses.generative import Game
from sightline.models.generative.conditions import Way
from sightline.models.generative.families import FAMILIES, Family
from sightline.randomness.keyed import torch_seeded
from sightline.recipes.defaults import Filled, Traits
from sightline.recipes.recipe import Count, Draft, Recipe, TaskSection
from sightline.registry import lookup
from sightline.reports.generation.section import GENERATION
from sightline.reports.split_evaluation import RowsFormat
from sightline.sampling.plan import Chunk, Sampling
from sightline.structures.batch import Batch
from sightline.structures.predictions import Prediction, Rivals
from sightline.tasks.generative.gan import CRITIC, GENERATOR, Gan
from sightline.tasks.task import Task

from ..kind import Answers, Drawings, Keep, Kind, Networks, Scoring, Setting
from .levels import signed_range

NAME = "gan"
STEPS = 5_000  # of the generator by default
SIZES = (28, 32, 64)
EMA = 0.999  # decay of the averaged weights


class GanSection(TaskSection):
    kind: Literal["gan"] = "gan"
    loss: Game = Field("hinge", description="what critic and generator minimise")
    lipschitz: Literal["none", "penalty", "spectral"] | None = Field(
        None, description="how the critic's slope is limited: hinge is by spectral norm, wasserstein by the penalty"
    )
    penalty: float = Field(10.0, gt=0, le=1e6, description="weight of the gradient penalty")
    critic_steps: Count | None = Field(
        None, le=100, description="turns of the critic a step: 5 for wasserstein, else 1"
    )
    condition: Way | None = Field(None, description="how classes reach the networks: projection where there are any")
    latent: Count | None = Field(None, le=100_000, description="numbers of the noise behind an image")


def _section(recipe: Recipe) -> GanSection:
    assert isinstance(recipe.task, GanSection)
    return recipe.task


def _lipschitz(section: GanSection) -> str:
    usual = {"hinge": "spectral", "wasserstein": "penalty"}
    return section.lipschitz or usual.get(section.loss, "none")


def _family(name: str) -> Family:
    return lookup("generative network", name, FAMILIES)


def _condition(recipe: Recipe, classes: int) -> Way:
    """The way of the classes. UsageError where there are none to use, and for one that the family does not know."""
    way, ways = _section(recipe).condition, _family(recipe.model.name).ways
    if way in (None, "none"):
        return "none" if way == "none" or classes < 2 else ways[0]
    if classes < 2:
        raise UsageError(f"task.condition={way} needs classes, and the data have none", "leave it out")
    if way not in ways:
        raise UsageError(f"{recipe.model.name} knows no task.condition={way}", f"use {' or '.join(ways)}")
    return way


def _options(recipe: Recipe) -> dict[str, Any]:
    """The options of the family with those of the recipe. UsageError for one that the family does not have."""
    family, given = _family(recipe.model.name), recipe.model.options
    for name, value in given.items():
        usual = lookup(f"option of {recipe.model.name}", name, family.options)
        if type(value) is not type(usual) or value <= 0:
            raise UsageError(f"model.options.{name}={value!r} is not like {usual!r}", "use a positive whole number")
    return {**family.options, **given}


def _check(recipe: Recipe) -> None:
    section = _section(recipe)
    if section.loss == "wasserstein" and _lipschitz(section) == "none":
        raise UsageError(
            "task.loss=wasserstein needs a critic of limited slope", "set task.lipschitz=penalty or spectral"
        )
    if section.penalty != GanSection.model_fields["penalty"].default and _lipschitz(section) != "penalty":
        raise UsageError("task.penalty has no effect here", "set task.lipschitz=penalty, or leave it out")
    _options(recipe)


def _latent(recipe: Recipe) -> int:
    return _section(recipe).latent or _family(recipe.model.name).latent


def _networks(recipe: Recipe, classes: int) -> dict[str, nn.Module]:
    family, section, options = _family(recipe.model.name), _section(recipe), _options(recipe)
    way = _condition(recipe, classes)
    about = {"classes": classes if way != "none" else 0, "way": way, **options}
    held = _lipschitz(section)
    with torch_seeded(recipe.seed, "initialise"):
        return {
            GENERATOR: family.generator(recipe.input.shape, latent=_latent(recipe), **about),
            CRITIC: family.critic(recipe.input.shape, spectral=held == "spectral", batch_norm=held == "none", **about),
        }


def _inputs(recipe: Recipe) -> dict[str, tuple[int, ...]]:
    return {GENERATOR: (_latent(recipe),), CRITIC: recipe.input.shape}


def _task(networks: Networks, setting: Setting) -> Gan:
    recipe, section, classes = setting.recipe, _section(setting.recipe), len(setting.amounts)
    return Gan(
        networks[GENERATOR],
        networks[CRITIC],
        game=section.loss,
        penalty=section.penalty if _lipschitz(section) == "penalty" else 0.0,
        critic_steps=section.critic_steps or (5 if section.loss == "wasserstein" else 1),
        latent=_latent(recipe),
        classes=classes if _condition(recipe, classes) != "none" else 0,
    )


def _defaults(draft: Draft, traits: Traits) -> Filled:
    side = max(traits.height, traits.width)
    size = draft.input.size or next((size for size in SIZES if size >= side), SIZES[-1])
    batch = draft.fit.batch or 64
    epochs = draft.fit.epochs or max(round(STEPS * batch / max(traits.n, 1), 2), 1.0)
    schedule = draft.schedule.name if "name" in draft.schedule.model_fields_set else "constant"
    return {
        "model": {"name": draft.model.name or "dcgan"},
        "input": {
            "size": size,
            "width": draft.input.width or size,
            "channels": draft.input.channels or (1 if traits.grey else 3),
            "fit": draft.input.fit or ("stretch" if traits.one_aspect else "crop"),
        },
        "augment": {"preset": draft.augment.preset or "none", "flip": bool(draft.augment.flip)},
        "optim": _optim(draft),
        "schedule": {"name": schedule},
        "fit": {"batch": batch, "epochs": epochs, "ema": draft.fit.ema if "ema" in draft.fit.model_fields_set else EMA},
    }


def _optim(draft: Draft) -> dict[str, Any]:
    """Adam with a short memory: with the usual 0.9 the two networks circle around each other (arXiv:1511.06434, section 4)."""
    name = draft.optim.name or "adam"
    filled: dict[str, Any] = {"name": name, "lr": draft.optim.lr or 2e-4}
    if name in ("adam", "adamw"):
        filled["beta1"] = 0.5 if draft.optim.beta1 is None else draft.optim.beta1
    return filled


def _answers(
    task: Task, batch: Batch, prediction: Prediction, classes: Sequence[str], keep: Keep
) -> list[dict[str, Any]]:
    """How real the critic finds each image; where it knows classes, as an image of which class the most."""
    assert isinstance(prediction, Rivals) and isinstance(task, Gan)
    return [
        {"realness": value} | ({"as": classes[k]} if task.classes else {})
        for value, k in zip(prediction.score.tolist(), prediction.label.tolist(), strict=True)
    ]


def _cells(row: Mapping[str, Any]) -> tuple[str, str]:
    return f"{row['realness']:.4f}", row.get("as", "")


def _produce(task: Task, chunk: Chunk) -> Float[Tensor, "b c h w"]:
    assert isinstance(task, Gan)
    return task.generator(chunk.noise("start", (task.latent,)), chunk.label if task.classes else None)


def _asked(task: Task) -> frozenset[str]:
    assert isinstance(task, Gan)
    return frozenset(("class",)) if task.classes else frozenset()


GAN = Kind(
    name=NAME,
    section=GanSection,
    accepts=lambda source: source.annotations is None,
    automatic=False,
    needs="images",
    defaults=_defaults,
    check=_check,
    networks=_networks,
    inputs=_inputs,
    task=_task,
    statistics=signed_range,
    scoring=Scoring(
        rows=RowsFormat(write_set_rows, read_set_rows, judge_sets),
        monitors=("frechet",),
        headline="frechet",
        validation_loss=False,
        batch=256,
        train_images=1_000,
        falling=("frechet",),
        both_weights=True,
    ),
    answers=Answers(of=_answers, columns=("realness", "as"), heads=("realness", "as"), cells=_cells, batch=64),
    drawings=Drawings(columns=8),
    chapter=GENERATION,
    sampling=Sampling(_produce, _asked, watched=16),
)
