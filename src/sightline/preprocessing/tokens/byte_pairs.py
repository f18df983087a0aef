"""Byte-level byte-pair encoding: any text is bytes, frequent runs of bytes are tokens, and nothing is unknown.

    Radford et al. 2019, "Language Models are Unsupervised Multitask Learners" (GPT-2)

A text is first parted into words that keep the blank before them, numbers, and runs of other characters; no token reaches
across such a border. Bytes are written as printable characters (`_letters`), as published vocabularies are: a blank is "Ġ".
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

from sightline.errors import DataError

from .pairs import learn_merges
from .vocabulary import SPECIAL, Vocabulary

_ENDINGS = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")
# Of the classes of characters: letters, numbers, others, blanks (B: the plain one).
_RUN = re.compile("B?L+|B?N+|B?O+|[BS]+(?![LNO])|[BS]+")


@cache
def _letters() -> dict[int, str]:
    """A printable character for every byte: itself where it is one, else one from 256 on."""
    own = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = (byte for byte in range(256) if byte not in own)
    return {byte: chr(byte) for byte in own} | {byte: chr(256 + i) for i, byte in enumerate(others)}


@cache
def _bytes() -> dict[str, int]:
    return {letter: byte for byte, letter in _letters().items()}


@cache
def _class(character: str) -> str:
    category = unicodedata.category(character)[0]
    if category in "LN":
        return category
    return "B" if character == " " else "S" if character.isspace() else "O"


def words_of(text: str) -> list[str]:
    """The parts of a text that no token reaches across; joined they are the text.

    >>> words_of("I'm 25  now!")
    ['I', "'m", ' 25', ' ', ' now', '!']
    """
    classes, words, at = "".join(map(_class, text)), [], 0
    while at < len(text):
        ending = next((e for e in _ENDINGS if text.startswith(e, at)), None)
        if ending is None:
            run = _RUN.match(classes, at)
            assert run is not None  # every class begins a run
            words.append(run.group() and text[at : run.end()])
        else:
            words.append(ending)
        at += len(words[-1])
    return words


@dataclass(frozen=True)
class BytePairs(Vocabulary):
    """`merges` are the pairs in the order in which they are joined."""

    merges: tuple[tuple[str, str], ...]
    form: ClassVar[str] = "byte_pairs"

    def __post_init__(self) -> None:
        object.__setattr__(self, "_number", {token: i for i, token in enumerate(self.tokens)})
        object.__setattr__(self, "_rank", {pair: i for i, pair in enumerate(self.merges)})
        object.__setattr__(self, "_known", {})

    @classmethod
    def learn(cls, texts: Iterable[str], size: int) -> BytePairs:
        """A vocabulary of at most `size` tokens, at least the special ones and all 256 bytes."""
        counts = Counter(word for text in texts for word in words_of(text))
        letters = _letters()
        words = {tuple(letters[byte] for byte in word.encode()): count for word, count in counts.items()}
        tokens, merges = learn_merges(words, (*SPECIAL, *sorted(letters.values())), size)
        return cls(tuple(tokens), tuple(merges))

    @classmethod
    def read(cls, vocabulary: Path, merges: Path) -> BytePairs:
        """A published vocabulary: vocab.json (token → number) and merges.txt. Its numbers are the published ones, without
        this package's special tokens, so it is for encoding only. DataError for other files."""
        try:
            number = json.loads(vocabulary.read_text("utf-8"))
            tokens = tuple(sorted(number, key=number.__getitem__))
            lines = merges.read_text("utf-8").splitlines()
            pairs = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
        except (OSError, ValueError, AttributeError) as error:
            raise DataError(
                f"{vocabulary} is no vocabulary of byte pairs: {error}", "name vocab.json and merges.txt"
            ) from error
        if any(len(pair) != 2 for pair in pairs):
            raise DataError(f"{merges} holds no pairs of tokens", "name merges.txt")
        return cls(tokens, tuple((left, right) for left, right in pairs))

    def encode(self, text: str) -> list[int]:
        return [number for word in words_of(text) for number in self._of_word(word)]

    def _of_word(self, word: str) -> list[int]:
        known: dict[str, list[int]] = getattr(self, "_known")  # noqa: B009
        if word not in known:
            known[word] = [getattr(self, "_number")[part] for part in self._parts(word)]  # noqa: B009
        return known[word]

    def _parts(self, word: str) -> list[str]:
        """The tokens of one word: of all pairs in it, the one that was learned first is joined first."""
        rank: dict[tuple[str, str], int] = getattr(self, "_rank")  # noqa: B009
        parts = [_letters()[byte] for byte in word.encode()]
        while len(parts) > 1:
            pairs = list(pairwise(parts))
            best = min(pairs, key=lambda pair: rank.get(pair, len(rank)))
            if best not in rank:
                break
            out: list[str] = []
            for part in parts:
                if out and (out[-1], part) == best:
                    out[-1] += part
                else:
                    out.append(part)
            parts = out
        return parts

    def decode(self, numbers: Iterable[int]) -> str:
        text = "".join(self.tokens[i] for i in numbers if self.tokens[i] not in SPECIAL)
        return bytes(_bytes()[letter] for letter in text).decode(errors="replace")

    def to_json(self) -> dict[str, Any]:
        return {"form": self.form, "tokens": list(self.tokens), "merges": [list(pair) for pair in self.merges]}
