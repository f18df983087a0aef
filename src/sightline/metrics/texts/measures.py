"""What written answers are measured by, as sums over samples: a metric of a set, or of a resample, is a function of them.

exact             share of the samples whose answer is one of the references
character_error   edits between the characters of answer and nearest reference, by the characters of the references
bleu              of the whole set, not a mean over sentences (`metrics.texts.bleu`)
word_recall       share of the words of a reference that the answer has, mean over the references and the samples
loss              of a token of the true text
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from sightline.structures.rows.texts import TextRows

from .bleu import WIDTH, bleu, counts_of
from .edits import edit_distance

METRICS = ("exact", "character_error", "bleu", "word_recall", "loss")
EDITS, CHARACTERS, KNOWN = 1, 2, 4  # columns of the sums
# exact, edits, characters, recall, known samples, loss, terms; then BLEU's counts
_SUMS = 7
_WORD = re.compile(r"\w+")


def text_metrics(rows: TextRows) -> dict[str, float | None]:
    """All metrics; None where no truth is known."""
    return named(from_sums(sums_of(rows).sum(0)[None])[:, 0])


def named(values: Float[np.ndarray, "k"]) -> dict[str, float | None]:
    """Values of `from_sums` by name, None for NaN."""
    return {name: None if np.isnan(v) else float(v) for name, v in zip(METRICS, values, strict=True)}


def sums_of(rows: TextRows) -> Float[np.ndarray, "n m"]:
    """What each sample adds to the sums that the metrics are made of."""
    out = np.zeros((len(rows), _SUMS + WIDTH))
    for row, answer, texts, loss, terms in zip(out, rows.answer, rows.reference, rows.loss, rows.terms, strict=True):
        if not texts:
            continue
        edits = [edit_distance(answer, text) for text in texts]
        nearest = int(np.argmin(edits))
        row[:_SUMS] = answer in texts, edits[nearest], len(texts[nearest]), recall(answer, texts), 1, loss, terms
        row[_SUMS:] = counts_of(answer, texts)
    return out


def recall(answer: str, texts: Sequence[str]) -> float:
    """The share of the different words of a text that the answer has, mean over the texts."""
    own = set(_WORD.findall(answer.lower()))
    shares = []
    for text in texts:
        words = set(_WORD.findall(text.lower()))
        shares.append(len(words & own) / len(words) if words else float(not own))
    return float(np.mean(shares))


def from_sums(sums: Float[np.ndarray, "r m"]) -> Float[np.ndarray, "k r"]:
    """The metrics of summed rows, NaN where undefined."""
    exact, edits, characters, recalled, known, loss, terms = sums[:, :_SUMS].T
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = [exact / known, edits / np.where(characters > 0, characters, np.nan)]
        scores = np.where(known > 0, bleu(sums[:, _SUMS:]), np.nan)
        return np.stack([*shares, scores, recalled / known, loss / np.where(terms > 0, terms, np.nan)])
