"""A sentence about an image."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field
from torch import nn

from sightline.data.dataset import Dataset
from sightline.data.records.texts import texts_of_images
from sightline.evaluation.language.texts import judge_texts, read_text_rows, write_text_rows
from sightline.models.language.options import CAPTIONERS, build_text_network
from sightline.preprocessing.tokens.saved import Form, vocabulary_of
from sightline.recipes.defaults import Filled, Traits
from sightline.recipes.recipe import Count, Draft, Fraction, Recipe
from sightline.reports.parts.answers.texts import BLEU, text_chapter
from sightline.reports.split_evaluation import RowsFormat
from sightline.structures.targets import Wordings
from sightline.tasks.language.captioning import Captioning

from ..kind import Answers, Drawings, Kind, Networks, Scoring, Setting
from .reading import TEXTS, has_texts
from .texts import text_defaults, vocabulary_facts, wording_label, wordings_of, written_answers, written_cells
from .trunks import TrunkSection, build_trunk, check_trunk, frozen_trunk

NAME = "captioning"
STEPS = 1_500  # optimiser steps by default
SIZES = (32, 64, 128)  # sides of the input


class CaptioningSection(TrunkSection):
    kind: Literal["captioning"] = "captioning"
    vocabulary: Form = Field("word_pieces", description="what a token is")
    tokens: Count = Field(2_000, ge=16, le=100_000, description="rows of the vocabulary, at most")
    longest: Count = Field(32, ge=4, le=4_096, description="tokens of a text; longer ones are cut")
    smoothing: Fraction = Field(0.1, description="share of the target that is spread over all tokens")
    beams: Count = Field(3, le=64, description="texts that are kept while writing; 1 takes the likeliest token")


def _section(recipe: Recipe) -> CaptioningSection:
    assert isinstance(recipe.task, CaptioningSection)
    return recipe.task


def image_defaults(draft: Draft, traits: Traits, *, model: str, steps: int, batch: int, lr: float) -> Filled:
    """Defaults of images with texts: a square of the nearest usual size that is not smaller, cropped."""
    side = max(traits.height, traits.width)
    size = draft.input.size or next((size for size in SIZES if size >= side), SIZES[-1])
    filled = text_defaults(draft, traits, model=model, steps=steps, batch=batch, lr=lr, size=size)
    filled["input"]["channels"] = draft.input.channels or (1 if traits.grey else 3)
    filled["input"]["fit"] = draft.input.fit or ("stretch" if traits.one_aspect else "crop")
    return filled


def _defaults(draft: Draft, traits: Traits) -> Filled:
    return image_defaults(draft, traits, model="captioner", steps=STEPS, batch=64, lr=1e-3)


def _networks(recipe: Recipe, classes: int) -> dict[str, nn.Module]:
    section = _section(recipe)
    options = {"longest": section.longest, **recipe.model.options}
    trunk = build_trunk(section, recipe)
    network = build_text_network(
        recipe.model.name, CAPTIONERS, section.tokens, trunk, seed=recipe.seed, options=options
    )
    return {"model": network}


def _check(recipe: Recipe) -> None:
    check_trunk(_section(recipe), recipe)


def _facts(data: Dataset, ids: np.ndarray, recipe: Recipe) -> dict[str, Any]:
    """The vocabulary of the training captions."""
    section = _section(recipe)
    texts = [text for some in wordings_of(data, ids) for text in some]
    return vocabulary_facts(section.vocabulary, texts, section.tokens)


def _task(networks: Networks, setting: Setting) -> Captioning:
    section, network = _section(setting.recipe), networks["model"]
    trunk = network.get_submodule("trunk")
    return Captioning(
        setting.normalised(network),
        vocabulary_of(setting.facts["vocabulary"]),
        longest=section.longest,
        smoothing=section.smoothing,
        beams=section.beams,
        frozen=frozen_trunk(section, trunk),
    )


CAPTIONING = Kind(
    name=NAME,
    section=CaptioningSection,
    accepts=has_texts,
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
        monitors=("bleu", "word_recall", "exact", "character_error"),
        headline="bleu",
        falling=("character_error",),
        batch=64,
        train_images=200,
        worst=lambda judgement: list(judgement.worst),
    ),
    answers=Answers(
        of=written_answers,
        columns=("text", "probability"),
        heads=("caption", "probability"),
        cells=written_cells,
        unknown=lambda height, width: Wordings(((),)),
        batch=16,
        confident=False,
    ),
    drawings=Drawings(label=wording_label, columns=4),
    chapter=text_chapter(BLEU, images=True),
)
