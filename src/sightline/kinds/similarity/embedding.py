"""A vector for each image: who is it like?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field
from torch import nn

from sightline.data.dataset import Dataset
from sightline.data.formats.answers import as_classes
from sightline.data.loaders import Images
from sightline.data.orders import Order, by_identity
from sightline.errors import UsageError
from sightline.evaluation.similarity.judgement import VectorJudgement, judge_vectors
from sightline.evaluation.similarity.stored import read_vector_rows, write_vector_rows
from sightline.layers.embedding import Embedder, Head
from sightline.metrics.similarity.vectors import measured, some_identities
from sightline.metrics.similarity.verification import threshold_of_equal_errors
from sightline.randomness.keyed import torch_seeded
from sightline.recipes.arguments import require_options
from sightline.recipes.assembly import build_model
from sightline.recipes.defaults import Filled, Traits, classifier_defaults
from sightline.recipes.recipe import Count, Draft, Recipe, TaskSection
from sightline.recipes.trunks import Trunk
from sightline.reports.parts.answers.vectors import VECTORS
from sightline.reports.split_evaluation import RowsFormat
from sightline.runtime.choosing import choose_nearest
from sightline.runtime.vectors import nearest_row
from sightline.structures.batch import Batch
from sightline.structures.predictions import Embeddings, Prediction
from sightline.structures.targets import Labels, Target
from sightline.structures.vector_rows import VectorRows
from sightline.tasks.embedding import Embedding, SimilarityLoss, small_side
from sightline.tasks.task import Task

from ..kind import Answers, Drawings, Facts, Keep, Kind, Networks, Scoring, Sensitivity, Setting
from .graph import EXPORT, ask_likeness

NAME = "embedding"
OUTPUT = "class scores"  # of its trunks, as `MODELS` files them: one output a coordinate
BATCH = 64  # a small batch holds few negatives
HEADS: dict[str, Head] = {"siamese": "siamese", "arcface": "centres"}
MARGINS = ("contrastive", "batch_hard", "semi_hard", "arcface")
TEMPERATURES = ("nt_xent", "sup_con")


class EmbeddingSection(TaskSection):
    kind: Literal["embedding"] = "embedding"
    loss: SimilarityLoss = Field("batch_hard", description="what pulls images of one identity together")
    dimension: Count = Field(64, le=65_536, description="numbers of a vector")
    normalised: bool = Field(True, description="vectors have length 1")
    images: int = Field(4, ge=2, le=1_000, description="images of each identity in a batch")
    margin: float | None = Field(
        None, gt=0, le=1_000, description="contrastive (1), batch_hard and semi_hard (0.2), arcface (0.5 radians)"
    )
    temperature: float | None = Field(None, gt=0, le=1_000, description="nt_xent (0.5), sup_con (0.1)")
    scale: float = Field(64.0, gt=0, le=10_000, description="arcface: factor on the cosines")
    ways: int = Field(5, ge=2, le=1_000, description="identities to choose from in one-shot recognition")


def _section(recipe: Recipe | Draft) -> EmbeddingSection:
    assert isinstance(recipe.task, EmbeddingSection)
    return recipe.task


def _check(recipe: Recipe) -> None:
    section = _section(recipe)
    require_options(recipe)
    if recipe.fit.batch % section.images or recipe.fit.batch < 2 * section.images:
        raise UsageError(
            f"fit.batch={recipe.fit.batch} does not hold whole groups of task.images={section.images} for two identities",
            f"use a multiple of {section.images}, at least {2 * section.images}",
        )
    for key, losses in (("margin", MARGINS), ("temperature", TEMPERATURES), ("scale", ("arcface",))):
        value, usual = getattr(section, key), EmbeddingSection.model_fields[key].default
        if value != usual and section.loss not in losses:
            raise UsageError(
                f"task.{key} has no effect with task.loss={section.loss}",
                f"leave it out, or use task.loss={' or '.join(losses)}",
            )
    if recipe.data.balance != "none":
        raise UsageError("data.balance has no effect here: all identities come equally often", "leave it out")


def _defaults(draft: Draft, traits: Traits) -> Filled:
    section = draft.task if isinstance(draft.task, EmbeddingSection) else EmbeddingSection()
    groups = max(min(BATCH // section.images, max(traits.classes, 2)), 2)
    batch = draft.fit.batch or groups * section.images
    sized = draft.model_copy(update={"fit": draft.fit.model_copy(update={"batch": batch})})
    return classifier_defaults(sized, traits, output=OUTPUT)


def _networks(recipe: Recipe, classes: int) -> dict[str, nn.Module]:
    section = _section(recipe)
    trunk = build_model(recipe, section.dimension, OUTPUT)
    height, width = small_side(recipe.input.size, recipe.input.width)
    with torch_seeded(recipe.seed, "initialise head"):
        network = Embedder(
            trunk,
            section.dimension,
            classes,
            pixels=height * width,
            normalised=section.normalised,
            head=HEADS.get(section.loss, "none"),
        )
    return {"model": network}


def _task(networks: Networks, setting: Setting) -> Embedding:
    section = _section(setting.recipe)
    threshold = setting.facts.get("threshold")
    return Embedding(
        setting.normalised(networks["model"]),
        loss=section.loss,
        margin=section.margin,
        temperature=section.temperature,
        scale=section.scale,
        threshold=None if threshold is None else float(threshold),
        ways=section.ways,
    )


def _order(recipe: Recipe, data: Dataset, images: Images) -> Order:
    return by_identity(images.index.numpy(), _section(recipe).images)


def _settle(rows: VectorRows) -> dict[str, Any]:
    """The threshold of equal errors on people that training did not see; nothing where val shows one person only."""
    threshold = threshold_of_equal_errors(measured(some_identities(rows)).pairs)
    return {} if threshold is None else {"threshold": threshold}


def _under(rows: VectorRows, facts: Facts) -> VectorRows:
    return replace(rows, threshold=float(facts["threshold"])) if "threshold" in facts else rows


def _answers(
    task: Task, batch: Batch, prediction: Prediction, classes: Sequence[str], keep: Keep
) -> list[dict[str, Any]]:
    """The nearest identity of the gallery with its distance, or none within the threshold; the nearest few; the vector."""
    assert isinstance(prediction, Embeddings) and isinstance(task, Embedding)
    found = task.nearest(prediction.vector)
    return [
        nearest_row(distance, vector, classes, task.threshold)
        for distance, vector in zip(found, prediction.vector.tolist(), strict=True)
    ]


def _cells(row: Mapping[str, Any]) -> tuple[str, str]:
    distance = row["distance"]
    return row["label"], "" if distance is None else f"{distance:.4f}"


def _lines(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [row]


def _label(target: Target, row: int, classes: Sequence[str]) -> str | None:
    assert isinstance(target, Labels)
    return classes[int(target.index[row])] if bool(target.known[row]) and len(classes) else None


def _worst(judgement: VectorJudgement) -> list[int]:
    return list(judgement.worst)


EMBEDDING = Kind(
    name=NAME,
    section=EmbeddingSection,
    accepts=lambda source: source.annotations is None,
    automatic=False,
    reads=as_classes,
    needs="identities",
    defaults=_defaults,
    check=_check,
    networks=_networks,
    trunk=Trunk("trunk", OUTPUT, lambda recipe: _section(recipe).dimension),
    task=_task,
    order=_order,
    scoring=Scoring(
        rows=RowsFormat(write_vector_rows, read_vector_rows, judge_vectors),
        monitors=("auc", "map_at_r", "recall_at_1", "one_shot"),
        headline="auc",
        validation_loss=False,
        batch=256,
        train_images=1_000,
        worst=_worst,
        settle=_settle,
        under=_under,
    ),
    answers=Answers(
        of=_answers,
        columns=("label", "distance"),
        heads=("nearest", "distance"),
        cells=_cells,
        lines=_lines,
        batch=64,
        confident=False,
        choose=choose_nearest,
    ),
    drawings=Drawings(label=_label, columns=8),
    chapter=VECTORS,
    export=EXPORT,
    sensitivity=Sensitivity(ask_likeness),
)
