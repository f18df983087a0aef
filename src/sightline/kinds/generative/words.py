"""Texts as numbers: the words of the training captions, most frequent first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from sightline.errors import UsageError

NOTHING, UNKNOWN, FIRST = 0, 1, 2  # numbers: no word, a word that training did not have, the first known word
MOST = 4096  # words that are kept
_WORD = re.compile(r"\w+")


def words_of(text: str) -> list[str]:
    """Runs of letters and digits, in lower case; punctuation only parts them."""
    return _WORD.findall(text.lower())


def vocabulary(texts: Iterable[str]) -> list[str]:
    """The words of the texts, the most frequent first, equally frequent ones in alphabetical order."""
    counts = Counter(word for text in texts for word in words_of(text))
    return sorted(counts, key=lambda word: (-counts[word], word))[:MOST]


def as_numbers(texts: Sequence[str], known: Sequence[str], *, rows: int, length: int) -> Int[Tensor, "k n"]:
    """Texts as numbers below `rows`, filled up or cut to `length` words. The known words beyond `rows` are unknown."""
    place = {word: i + FIRST for i, word in enumerate(known) if i + FIRST < rows}
    out = torch.full((len(texts), length), NOTHING)
    for row, text in zip(out, texts, strict=True):
        numbers = [place.get(word, UNKNOWN) for word in words_of(text)][:length]
        row[: len(numbers)] = torch.tensor(numbers, dtype=torch.int64)
    return out


def require_known(text: str, known: Sequence[str], *, rows: int, length: int) -> None:
    """UsageError for a text without words, with a word that training did not have, or longer than any that it had."""
    words = words_of(text)
    usable = set(known[: rows - FIRST])
    if not words:
        raise UsageError("--text has no words", "describe an image as the captions of the training images do")
    if strange := [word for word in words if word not in usable]:
        raise UsageError(
            f"the captions of training have no word {strange[0]!r}",
            f"use their words, such as {', '.join(list(known)[:8])}",
        )
    if len(words) > length:
        raise UsageError(f"--text has {len(words)} words, and no caption of training more than {length}", "shorten it")
