"""What kinds of texts share: samples that are texts, defaults, vocabularies as facts, answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from sightline.data.dataset import Dataset
from sightline.data.loaders import Images
from sightline.data.records.source import Source
from sightline.data.records.texts import SENTENCES, Sentences
from sightline.drawing.png import caption
from sightline.errors import UsageError
from sightline.preprocessing.saved import Preprocessing
from sightline.preprocessing.tokens.saved import Form, learn_vocabulary
from sightline.recipes.defaults import Filled, Traits
from sightline.recipes.recipe import Draft, Recipe
from sightline.structures.batch import Batch
from sightline.structures.inputs import Texts
from sightline.structures.predictions import Prediction, Written
from sightline.structures.targets import Labels, Target, Wordings
from sightline.tasks.task import Task

from ..kind import Keep, Picture

WIDE = 320  # pixels of a drawn text
LONGEST_ANSWER = 60  # characters of an answer on the terminal


@dataclass(frozen=True)
class TextSamples:
    """Texts of one split, each with what belongs to it. `index` (n,) are their classes."""

    text: tuple[str, ...]
    wordings: tuple[tuple[str, ...], ...]
    id: Int[Tensor, "n"]
    index: Int[Tensor, "n"]
    name: str = "source"
    labelled: bool = False

    def __len__(self) -> int:
        return len(self.id)

    def __call__(self, places: Int[Tensor, "b"], positions: Int[Tensor, "b"]) -> Batch:
        some = places.tolist()
        target: Target = Labels.of(self.index[places])
        if not self.labelled:
            target = Wordings(tuple(self.wordings[place] for place in some))
        inputs = {self.name: Texts(tuple(self.text[place] for place in some))}
        return Batch(inputs, self.id[places], positions, target)


def texts_of(data: Dataset, ids: np.ndarray) -> list[str]:
    """The texts of these records, which are sentences."""
    contents = data.audit.source.contents
    assert isinstance(contents, Sentences)
    return [contents.text[int(i)] for i in ids]


def wordings_of(data: Dataset, ids: np.ndarray) -> list[tuple[str, ...]]:
    """What belongs to each of these records."""
    found = [data.truth(int(i)) for i in ids]
    return [each for each in found if isinstance(each, tuple)]


def load_texts(data: Dataset, ids: np.ndarray, preprocessing: Preprocessing, recipe: Recipe, **options: Any) -> Any:
    """The samples of these ids, all in memory; with classes where the data have them."""
    ids = ids.astype(np.int64)
    index = torch.from_numpy(data.index[ids].astype(np.int64))
    texts, wordings = tuple(texts_of(data, ids)), tuple(wordings_of(data, ids))
    return TextSamples(texts, wordings, torch.from_numpy(ids), index, labelled=bool(data.classes))


def no_statistics(images: Images, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Texts have no levels to standardise."""
    return (0.0,) * channels, (1.0,) * channels


def are_sentences(source: Source) -> bool:
    return source.kind == SENTENCES


def vocabulary_facts(form: Form, texts: Iterable[str], size: int) -> dict[str, Any]:
    """`vocabulary`, as `vocabulary_of` reads it. UsageError where it needs more rows than the network has."""
    vocabulary = learn_vocabulary(form, texts, size)
    if len(vocabulary) > size:
        raise UsageError(
            f"task.tokens={size} is too few: {form.replace('_', ' ')} of these texts begin with {len(vocabulary)} tokens",
            f"use task.tokens={len(vocabulary)} or more",
        )
    return {"vocabulary": vocabulary.to_json()}


def text_defaults(
    draft: Draft, traits: Traits, *, model: str, steps: int, batch: int = 64, lr: float = 1e-3, size: int = 1
) -> Filled:
    """Defaults of networks for texts: adamw, about so many steps, and gradients of norm 1 at most."""
    batch = draft.fit.batch or batch
    return {
        "model": {"name": draft.model.name or model},
        "input": {
            "size": draft.input.size or size,
            "width": draft.input.width or draft.input.size or size,
            "channels": draft.input.channels or 1,
            "fit": draft.input.fit or "stretch",
        },
        "augment": {"preset": draft.augment.preset or "none", "flip": bool(draft.augment.flip)},
        "optim": {
            "name": draft.optim.name or "adamw",
            "lr": draft.optim.lr or lr,
            "weight_decay": 0.01 if draft.optim.weight_decay is None else draft.optim.weight_decay,
            "decay_all": False,
        },
        "fit": {
            "batch": batch,
            "epochs": draft.fit.epochs or max(round(steps * batch / max(traits.n, 1), 2), 1.0),
            "clip": 1.0 if draft.fit.clip is None else draft.fit.clip,
        },
    }


def written_answers(
    task: Task, batch: Batch, prediction: Prediction, classes: Sequence[str], keep: Keep
) -> list[dict[str, Any]]:
    """The text of each sample, and the probability that the network gives it."""
    assert isinstance(prediction, Written)
    return [
        {"text": text, "probability": confidence}
        for text, confidence in zip(prediction.text, prediction.confidence.tolist(), strict=True)
    ]


def written_cells(row: Mapping[str, Any]) -> tuple[str, str]:
    text = row["text"]
    short = text if len(text) <= LONGEST_ANSWER else text[: LONGEST_ANSWER - 1] + "…"
    return short, f"{row['probability']:.3f}"


def wording_label(target: Target, row: int, classes: Sequence[str]) -> str | None:
    """The first true text of a sample."""
    if isinstance(target, Labels):
        return classes[int(target.index[row])] if bool(target.known[row]) and len(classes) else None
    assert isinstance(target, Wordings)
    return target.texts[row][0] if target.texts[row] else None


def drawn_text(batch: Batch, row: int, classes: Sequence[str]) -> Picture:
    """The text of a sample, as a picture of the first batch."""
    texts = next(each for each in batch.inputs.values() if isinstance(each, Texts))
    line = caption(texts.text[row], WIDE)
    strip: Picture = np.pad(line, ((4, 4), (0, max(WIDE - line.shape[1], 0)), (0, 0)), constant_values=255)
    return strip
