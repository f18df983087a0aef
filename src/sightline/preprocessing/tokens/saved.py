"""Vocabularies by name: learned from texts, and read back from a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from .byte_pairs import BytePairs
from .vocabulary import Characters, Vocabulary
from .word_pieces import WordPieces

Form = Literal["byte_pairs", "word_pieces", "characters"]


def learn_vocabulary(form: Form, texts: Iterable[str], size: int) -> Vocabulary:
    """A vocabulary of at most `size` tokens; of characters, all that occur."""
    if form == "characters":
        return Characters.learn(texts)
    return (BytePairs if form == "byte_pairs" else WordPieces).learn(texts, size)


def vocabulary_of(saved: Mapping[str, Any]) -> Vocabulary:
    """What `Vocabulary.to_json` wrote."""
    tokens = tuple(saved["tokens"])
    if saved["form"] == BytePairs.form:
        return BytePairs(tokens, tuple((left, right) for left, right in saved["merges"]))
    return (Characters if saved["form"] == Characters.form else WordPieces)(tokens)
