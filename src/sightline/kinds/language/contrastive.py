"""Images and texts in one space: find an image by what is said of it, and name classes that nobody trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field
from torch import nn

from sightline.data.dataset import Dataset
from sightline.data.records.texts import texts_of_images
from sightline.errors import UsageError
from sightline.evaluation.language.pairs import judge_pairs, read_pair_rows, write_pair_rows
from sightline.models.language.options import CLIPS, build_text_network
from sightline.preprocessing.tokens.saved import Form, vocabulary_of
from sightline.recipes.defaults import Filled, Traits
from sightline.recipes.loading import choose
from sightline.recipes.recipe import Count, Draft, Recipe
from sightline.reports.parts.answers.pairs import PAIRS
from sightline.reports.split_evaluation import RowsFormat
from sightline.structures.batch import Batch
from sightline.structures.predictions import Embeddings, Prediction
from sightline.structures.targets import Wordings
from sightline.tasks.language.contrastive import Contrastive
from sightline.tasks.task import Task

from ..kind import Answers, Drawings, Keep, Kind, Networks, Scoring, Setting
from .captioning import image_defaults
from .reading import TEXTS, has_texts
from .texts import vocabulary_facts, wording_label, wordings_of, written_cells
from .trunks import TrunkSection, build_trunk, check_trunk, frozen_trunk
from .zero_shot import label_answers

NAME = "contrastive"
STEPS = 2_000  # optimiser steps by default
BATCH = 128  # a small batch holds few negatives
KNOWN = 1_000  # captions of the training images among which `predict` chooses
TOP = 5  # captions that a prediction lists


class ContrastiveSection(TrunkSection):
    kind: Literal["contrastive"] = "contrastive"
    vocabulary: Form = Field("word_pieces", description="what a token is")
    tokens: Count = Field(2_000, ge=16, le=100_000, description="rows of the vocabulary, at most")
    longest: Count = Field(32, ge=4, le=4_096, description="tokens of a text; longer ones are cut")


def _section(recipe: Recipe) -> ContrastiveSection:
    assert isinstance(recipe.task, ContrastiveSection)
    return recipe.task


def _defaults(draft: Draft, traits: Traits) -> Filled:
    return image_defaults(draft, traits, model="clip", steps=STEPS, batch=BATCH, lr=1e-3)


def _networks(recipe: Recipe, classes: int) -> dict[str, nn.Module]:
    section = _section(recipe)
    options = {"longest": section.longest, **recipe.model.options}
    trunk = build_trunk(section, recipe)
    network = build_text_network(
        recipe.model.name, CLIPS, section.tokens, trunk, recipe.input.shape, seed=recipe.seed, options=options
    )
    return {"model": network}


def _check(recipe: Recipe) -> None:
    check_trunk(_section(recipe), recipe)
    if recipe.fit.batch // recipe.fit.accumulate < 2:
        raise UsageError(f"fit.batch={recipe.fit.batch} leaves a text no other to be told from", "use 2 or more")
    if recipe.fit.accumulate > 1:
        raise UsageError("fit.accumulate would split a batch, and with it the texts to choose from", "leave it out")


def _facts(data: Dataset, ids: np.ndarray, recipe: Recipe) -> dict[str, Any]:
    """The vocabulary of the training captions, and some captions of different images."""
    section, every = _section(recipe), wordings_of(data, ids)
    firsts = list(dict.fromkeys(some[0] for some in every if some))
    known = [firsts[int(i)] for i in choose(np.arange(len(firsts)), KNOWN)]
    texts = [text for some in every for text in some]
    return {**vocabulary_facts(section.vocabulary, texts, section.tokens), "captions": known}


def _task(networks: Networks, setting: Setting) -> Contrastive:
    section, network = _section(setting.recipe), networks["model"]
    return Contrastive(
        setting.normalised(network),
        vocabulary_of(setting.facts["vocabulary"]),
        longest=section.longest,
        captions=setting.facts["captions"],
        frozen=frozen_trunk(section, network.get_submodule("trunk")),
    )


def _answers(
    task: Task, batch: Batch, prediction: Prediction, classes: Sequence[str], keep: Keep
) -> list[dict[str, Any]]:
    """The nearest of the captions that the run knows, and the vector of the image."""
    assert isinstance(task, Contrastive) and isinstance(prediction, Embeddings)
    image = prediction.vector.unflatten(1, (2, -1))[:, 0]
    p = task.probabilities(image, task.known(image.device))
    best, at = p.topk(min(TOP, p.shape[1]), dim=1)
    return [
        {
            "text": task.captions[places[0]],
            "probability": values[0],
            "top": [[task.captions[k], value] for k, value in zip(places, values, strict=True)],
            "vector": vector,
        }
        for values, places, vector in zip(best.tolist(), at.tolist(), image.tolist(), strict=True)
    ]


CONTRASTIVE = Kind(
    name=NAME,
    section=ContrastiveSection,
    accepts=has_texts,
    automatic=False,
    reads=texts_of_images,
    needs="images",
    defaults=_defaults,
    check=_check,
    facts=_facts,
    networks=_networks,
    task=_task,
    truths=TEXTS,
    scoring=Scoring(
        rows=RowsFormat(write_pair_rows, read_pair_rows, judge_pairs),
        monitors=("recall_at_1", "recall_at_5", "text_recall_at_1", "text_recall_at_5"),
        headline="recall_at_1",
        validation_loss=False,
        batch=256,
        train_images=500,
        worst=lambda judgement: list(judgement.worst),
    ),
    answers=Answers(
        of=_answers,
        columns=("text", "probability"),
        heads=("nearest caption", "probability"),
        cells=written_cells,
        unknown=lambda height, width: Wordings(((),)),
        batch=64,
        confident=False,
        zero_shot=label_answers,
    ),
    drawings=Drawings(label=wording_label, columns=8),
    chapter=PAIRS,
)
