"""The text of an image: captchas, numbers on meters, words that were cut out of a page."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field
from torch import nn

from sightline.data.dataset import Dataset
from sightline.data.records.source import Source
from sightline.data.records.texts import SENTENCES, TextTable, texts_of_images
from sightline.errors import UsageError
from sightline.evaluation.language.texts import judge_texts, read_text_rows, write_text_rows
from sightline.models.language.options import READERS, build_text_network
from sightline.models.language.reader import STRIDE
from sightline.preprocessing.tokens.saved import vocabulary_of
from sightline.preprocessing.tokens.vocabulary import Characters
from sightline.recipes.defaults import Filled, Traits
from sightline.recipes.loading import Truths
from sightline.recipes.recipe import Count, Draft, Recipe, TaskSection
from sightline.reports.parts.answers.texts import EXACT, text_chapter
from sightline.reports.split_evaluation import RowsFormat
from sightline.structures.targets import Wordings
from sightline.tasks.language.reading import Reading

from ..annotated import annotated_target
from ..kind import Answers, Drawings, Kind, Networks, Scoring, Setting
from .texts import text_defaults, vocabulary_facts, wording_label, wordings_of, written_answers, written_cells

NAME = "reading"
STEPS = 1_500  # optimiser steps by default
HEIGHTS = (24, 32, 48, 64)  # of the input, by default the first that is not smaller than the images


class ReadingSection(TaskSection):
    kind: Literal["reading"] = "reading"
    tokens: Count = Field(128, ge=8, le=20_000, description="different characters, and five special symbols, at most")
    beams: Count = Field(1, le=256, description="prefixes that are kept while decoding; 1 takes the likeliest path")


def _section(recipe: Recipe) -> ReadingSection:
    assert isinstance(recipe.task, ReadingSection)
    return recipe.task


def has_texts(source: Source) -> bool:
    """Images with texts."""
    return isinstance(source.annotations, TextTable) and source.kind != SENTENCES


def texts_memory(data: Dataset, ids: np.ndarray, pixels: np.ndarray, natural: np.ndarray) -> np.ndarray:
    """About 100 bytes a text."""
    return np.full(len(ids), 100)


TEXTS = Truths(annotated_target, texts_memory)


def _defaults(draft: Draft, traits: Traits) -> Filled:
    """The whole line is seen: its aspect ratio is kept."""
    height = draft.input.size or next((h for h in HEIGHTS if h >= traits.height), HEIGHTS[-1])
    width = max(round(height * traits.width / traits.height / STRIDE), 2) * STRIDE
    filled = text_defaults(draft, traits, model="reader", steps=STEPS, lr=2e-3, size=height)
    filled["input"]["width"] = draft.input.width or width
    filled["input"]["channels"] = draft.input.channels or (1 if traits.grey else 3)
    filled["input"]["fit"] = draft.input.fit or ("stretch" if traits.one_aspect else "letterbox")
    filled["augment"]["preset"] = draft.augment.preset or "light"
    return filled


def _networks(recipe: Recipe, classes: int) -> dict[str, nn.Module]:
    tokens, given = _section(recipe).tokens, recipe.input
    size = (given.size, given.width)
    network = build_text_network(
        recipe.model.name, READERS, tokens, given.channels, size, seed=recipe.seed, options=recipe.model.options
    )
    return {"model": network}


def _check(recipe: Recipe) -> None:
    _networks(recipe, 0)
    if recipe.augment.flip:
        raise UsageError("augment.flip=true would mirror letters", "leave it out")


def _facts(data: Dataset, ids: np.ndarray, recipe: Recipe) -> dict[str, Any]:
    """The characters of the training texts. UsageError for a text that has more than the network has steps of time."""
    texts = [text for some in wordings_of(data, ids) for text in some]
    longest, time = max(texts, key=len, default=""), recipe.input.width // STRIDE
    if len(longest) > time:
        raise UsageError(
            f"the text '{longest[:40]}' has {len(longest)} characters, and an input of width {recipe.input.width} has "
            f"{time} steps",
            f"use input.width={STRIDE * 2 * len(longest)} or more",
        )
    return vocabulary_facts("characters", texts, _section(recipe).tokens)


def _task(networks: Networks, setting: Setting) -> Reading:
    vocabulary = vocabulary_of(setting.facts["vocabulary"])
    assert isinstance(vocabulary, Characters)
    return Reading(setting.normalised(networks["model"]), vocabulary, beams=_section(setting.recipe).beams)


READING = Kind(
    name=NAME,
    section=ReadingSection,
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
        rows=RowsFormat(write_text_rows, read_text_rows, judge_texts),
        monitors=("exact", "character_error"),
        headline="exact",
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
        unknown=lambda height, width: Wordings(((),)),
        batch=64,
        confident=False,
    ),
    drawings=Drawings(label=wording_label, columns=4),
    chapter=text_chapter(EXACT, images=True),
)
