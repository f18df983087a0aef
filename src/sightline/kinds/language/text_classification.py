"""One class for each text: sentiment, topic, intent."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field
from torch import nn

from sightline.data.dataset import Dataset
from sightline.data.records.source import Source
from sightline.evaluation.judgement import judge
from sightline.evaluation.predictions import read_rows, write_rows
from sightline.models.language.options import CLASSIFIERS, build_text_network
from sightline.preprocessing.tokens.saved import Form, vocabulary_of
from sightline.recipes.defaults import Filled, Traits
from sightline.recipes.recipe import Count, Draft, Fraction, Recipe, TaskSection
from sightline.reports.parts.classes import CLASSES
from sightline.reports.split_evaluation import RowsFormat
from sightline.runtime.choosing import choose_label
from sightline.tasks.language.text_classification import TextClassification

from ..classification import class_answers, class_cells
from ..kind import Answers, Drawings, Kind, Networks, Scoring, Setting
from .texts import (
    are_sentences,
    drawn_text,
    load_texts,
    no_statistics,
    text_defaults,
    texts_of,
    vocabulary_facts,
    wording_label,
)

NAME = "text_classification"
STEPS = 600  # optimiser steps by default


class TextClassificationSection(TaskSection):
    kind: Literal["text_classification"] = "text_classification"
    vocabulary: Form = Field("word_pieces", description="what a token is")
    tokens: Count = Field(8_000, ge=16, le=100_000, description="rows of the vocabulary, at most")
    longest: Count = Field(64, ge=4, le=4_096, description="tokens of a text; longer ones are cut")
    smoothing: Fraction = Field(0.0, description="share of the target that is spread over all classes")


def _section(recipe: Recipe) -> TextClassificationSection:
    assert isinstance(recipe.task, TextClassificationSection)
    return recipe.task


def _accepts(source: Source) -> bool:
    return are_sentences(source) and bool(source.classes)


def _defaults(draft: Draft, traits: Traits) -> Filled:
    return text_defaults(draft, traits, model="bert", steps=STEPS, batch=32)


def _networks(recipe: Recipe, classes: int) -> dict[str, nn.Module]:
    section = _section(recipe)
    options = {"longest": section.longest, **recipe.model.options}
    network = build_text_network(
        recipe.model.name, CLASSIFIERS, section.tokens, classes, seed=recipe.seed, options=options
    )
    return {"model": network}


def _check(recipe: Recipe) -> None:
    _networks(recipe, 2)


def _facts(data: Dataset, ids: np.ndarray, recipe: Recipe) -> dict[str, Any]:
    """The vocabulary of the training texts."""
    section = _section(recipe)
    return vocabulary_facts(section.vocabulary, texts_of(data, ids), section.tokens)


def _task(networks: Networks, setting: Setting) -> TextClassification:
    section = _section(setting.recipe)
    vocabulary = vocabulary_of(setting.facts["vocabulary"])
    return TextClassification(networks["model"], vocabulary, longest=section.longest, smoothing=section.smoothing)


TEXT_CLASSIFICATION = Kind(
    name=NAME,
    section=TextClassificationSection,
    accepts=_accepts,
    defaults=_defaults,
    check=_check,
    facts=_facts,
    networks=_networks,
    inputs=lambda recipe: {"model": (_section(recipe).longest,)},
    task=_task,
    load=load_texts,
    statistics=no_statistics,
    scoring=Scoring(
        rows=RowsFormat(write_rows, read_rows, judge),
        monitors=("accuracy", "balanced_accuracy", "macro_f1", "mcc"),
        headline="accuracy",
        batch=256,
        train_images=1_000,
        worst=lambda judgement: [mistake.id for mistake in judgement.mistakes],
        probabilities=lambda rows: (rows.target, rows.probability),
    ),
    answers=Answers(
        of=class_answers,
        columns=("label", "probability"),
        heads=("label", "probability"),
        cells=class_cells,
        texts="source",
        batch=64,
        choose=choose_label,
    ),
    drawings=Drawings(truth=drawn_text, label=wording_label, columns=2),
    chapter=CLASSES,
)
