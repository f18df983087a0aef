"""From one text to another: translation, or any other rewriting that is learned from pairs."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field
from torch import nn

from sightline.data.dataset import Dataset
from sightline.data.records.source import Source
from sightline.data.records.texts import TextTable
from sightline.evaluation.language.texts import judge_texts, read_text_rows, write_text_rows
from sightline.models.language.options import WRITERS, build_text_network
from sightline.preprocessing.tokens.saved import Form, vocabulary_of
from sightline.recipes.defaults import Filled, Traits
from sightline.recipes.recipe import Count, Draft, Fraction, Recipe, TaskSection
from sightline.reports.parts.answers.texts import BLEU, text_chapter
from sightline.reports.split_evaluation import RowsFormat
from sightline.tasks.language.translation import TextTranslation

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
    wordings_of,
    written_answers,
    written_cells,
)

NAME = "translation_text"
STEPS = 3_000  # optimiser steps by default
SHOWN = 16  # tokens of the text that the table of layers is made with


class TranslationTextSection(TaskSection):
    kind: Literal["translation_text"] = "translation_text"
    vocabulary: Form = Field("byte_pairs", description="what a token is; one vocabulary for source and target")
    tokens: Count = Field(4_000, ge=16, le=100_000, description="rows of the vocabulary, at most")
    longest: Count = Field(64, ge=4, le=4_096, description="tokens of a text; longer ones are cut")
    smoothing: Fraction = Field(0.1, description="share of the target that is spread over all tokens")
    beams: Count = Field(1, le=64, description="texts that are kept while writing; 1 takes the likeliest token")


def _section(recipe: Recipe) -> TranslationTextSection:
    assert isinstance(recipe.task, TranslationTextSection)
    return recipe.task


def accepts_pairs(source: Source) -> bool:
    """Sentences, each with a text that belongs to it."""
    table = source.annotations
    return are_sentences(source) and isinstance(table, TextTable) and any(table.texts)


def _defaults(draft: Draft, traits: Traits) -> Filled:
    return text_defaults(draft, traits, model="transformer", steps=STEPS)


def _networks(recipe: Recipe, classes: int) -> dict[str, nn.Module]:
    section = _section(recipe)
    options = {"longest": section.longest, **recipe.model.options}
    network = build_text_network(recipe.model.name, WRITERS, section.tokens, seed=recipe.seed, options=options)
    return {"model": network}


def _facts(data: Dataset, ids: np.ndarray, recipe: Recipe) -> dict[str, Any]:
    """The vocabulary of the training texts, source and target."""
    section = _section(recipe)
    both = [*texts_of(data, ids), *(text for texts in wordings_of(data, ids) for text in texts)]
    return vocabulary_facts(section.vocabulary, both, section.tokens)


def _check(recipe: Recipe) -> None:
    _networks(recipe, 0)


def _task(networks: Networks, setting: Setting) -> TextTranslation:
    section = _section(setting.recipe)
    vocabulary = vocabulary_of(setting.facts["vocabulary"])
    return TextTranslation(
        networks["model"],
        vocabulary,
        longest=section.longest,
        smoothing=section.smoothing,
        beams=section.beams,
    )


TRANSLATION_TEXT = Kind(
    name=NAME,
    section=TranslationTextSection,
    accepts=accepts_pairs,
    needs="images",
    defaults=_defaults,
    check=_check,
    facts=_facts,
    networks=_networks,
    inputs=lambda recipe: {"model": (min(_section(recipe).longest, SHOWN),)},
    task=_task,
    load=load_texts,
    statistics=no_statistics,
    scoring=Scoring(
        rows=RowsFormat(write_text_rows, read_text_rows, judge_texts),
        monitors=("bleu", "exact", "word_recall", "character_error"),
        headline="bleu",
        falling=("character_error",),
        batch=128,
        train_images=500,
        worst=lambda judgement: list(judgement.worst),
    ),
    answers=Answers(
        of=written_answers,
        columns=("text", "probability"),
        heads=("text", "probability"),
        cells=written_cells,
        texts="source",
        batch=64,
        confident=False,
    ),
    drawings=Drawings(truth=drawn_text, label=wording_label, columns=2),
    chapter=text_chapter(BLEU, images=False),
)
