"""Texts themselves: the words that were hidden in them, or how they go on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from pydantic import Field
from torch import nn

from sightline.data.dataset import Dataset
from sightline.errors import UsageError
from sightline.evaluation.language.texts import judge_texts, read_text_rows, write_text_rows
from sightline.models.language.options import MODELS_OF_TEXTS, build_text_network
from sightline.preprocessing.saved import Preprocessing
from sightline.preprocessing.tokens.saved import Form, vocabulary_of
from sightline.recipes.defaults import Filled, Traits
from sightline.recipes.recipe import Count, Draft, Recipe, TaskSection
from sightline.reports.parts.answers.texts import LANGUAGE
from sightline.reports.split_evaluation import RowsFormat
from sightline.tasks.language.language import CHOSEN, Language

from ..kind import Answers, Drawings, Kind, Networks, Scoring, Setting
from .texts import (
    TextSamples,
    are_sentences,
    drawn_text,
    load_texts,
    no_statistics,
    text_defaults,
    texts_of,
    vocabulary_facts,
    wording_label,
    written_answers,
    written_cells,
)

NAME = "language"
STEPS = 3_000  # optimiser steps by default
NETWORKS = {"masked": "bert", "causal": "gpt"}


class LanguageSection(TaskSection):
    kind: Literal["language"] = "language"
    objective: Literal["masked", "causal"] = Field(
        "causal", description="masked hides words, as BERT; causal goes on, as GPT"
    )
    vocabulary: Form = Field("byte_pairs", description="what a token is")
    tokens: Count = Field(4_000, ge=16, le=100_000, description="rows of the vocabulary, at most")
    longest: Count = Field(64, ge=4, le=4_096, description="tokens of a text; longer ones are cut")
    share: float = Field(CHOSEN, gt=0, lt=1, description="masked: share of the tokens that are chosen")


def _section(recipe: Recipe) -> LanguageSection:
    assert isinstance(recipe.task, LanguageSection)
    return recipe.task


def _defaults(draft: Draft, traits: Traits) -> Filled:
    section = draft.task if isinstance(draft.task, LanguageSection) else LanguageSection()
    return text_defaults(draft, traits, model=NETWORKS[section.objective], steps=STEPS)


def _networks(recipe: Recipe, classes: int) -> dict[str, nn.Module]:
    section = _section(recipe)
    options = {"longest": section.longest, **recipe.model.options}
    return {
        "model": build_text_network(
            recipe.model.name, MODELS_OF_TEXTS, section.tokens, seed=recipe.seed, options=options
        )
    }


def _check(recipe: Recipe) -> None:
    section = _section(recipe)
    if recipe.model.name != NETWORKS[section.objective]:
        raise UsageError(
            f"model.name={recipe.model.name} is not for task.objective={section.objective}",
            f"use model.name={NETWORKS[section.objective]}",
        )
    _networks(recipe, 0)


def _facts(data: Dataset, ids: np.ndarray, recipe: Recipe) -> dict[str, Any]:
    """The vocabulary of the training texts."""
    section = _section(recipe)
    return vocabulary_facts(section.vocabulary, texts_of(data, ids), section.tokens)


def _load(data: Dataset, ids: np.ndarray, preprocessing: Preprocessing, recipe: Recipe, **options: Any) -> Any:
    """Each text is its own truth."""
    samples: TextSamples = load_texts(data, ids, preprocessing, recipe, **options)
    return replace(samples, wordings=tuple((text,) for text in samples.text), labelled=False)


def _task(networks: Networks, setting: Setting) -> Language:
    section = _section(setting.recipe)
    return Language(
        networks["model"],
        vocabulary_of(setting.facts["vocabulary"]),
        longest=section.longest,
        objective=section.objective,
        share=section.share,
    )


LANGUAGE_MODEL = Kind(
    name=NAME,
    section=LanguageSection,
    accepts=are_sentences,
    needs="images",
    defaults=_defaults,
    check=_check,
    facts=_facts,
    networks=_networks,
    inputs=lambda recipe: {"model": (min(_section(recipe).longest, 16),)},
    task=_task,
    load=_load,
    statistics=no_statistics,
    scoring=Scoring(
        rows=RowsFormat(write_text_rows, read_text_rows, judge_texts),
        monitors=("exact", "character_error", "bleu"),
        headline="loss",
        falling=("character_error",),
        batch=128,
        train_images=200,
        worst=lambda judgement: list(judgement.worst),
    ),
    answers=Answers(
        of=written_answers,
        columns=("text", "probability"),
        heads=("text", "probability"),
        cells=written_cells,
        texts="source",
        batch=32,
        confident=False,
    ),
    drawings=Drawings(truth=drawn_text, label=wording_label, columns=2),
    chapter=LANGUAGE,
)
