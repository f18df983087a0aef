"""WordPiece as in BERT: words in lower case, each the longest known piece after the other; "##" continues a word.

    Schuster & Nakajima 2012; Devlin et al. 2018, arXiv:1810.04805

Accents are dropped and punctuation is a word of its own. A word with a character that no piece has is UNKNOWN as a whole.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from sightline.errors import DataError

from .pairs import learn_merges
from .vocabulary import SPECIAL, UNKNOWN, Vocabulary

CONTINUES = "##"
LONGEST = 100  # characters of a word that is looked at
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


def words_of(text: str) -> list[str]:
    """Words in lower case without accents; every mark of punctuation and every ideograph is a word.

    >>> words_of("Un café, s'il vous plaît")
    ['un', 'cafe', ',', 's', "'", 'il', 'vous', 'plait']
    """
    clean = "".join(_clean(character) for character in text)
    bare = "".join(c for c in unicodedata.normalize("NFD", clean) if unicodedata.category(c) != "Mn").lower()
    return "".join(f" {c} " if _apart(c) else c for c in bare).split()


def _clean(character: str) -> str:
    """A blank for every kind of blank, spaces around ideographs, and nothing for control characters."""
    if character in "\t\n\r" or unicodedata.category(character) == "Zs":
        return " "
    if character in "\0�" or unicodedata.category(character).startswith("C"):
        return ""
    return f" {character} " if any(low <= ord(character) <= high for low, high in _IDEOGRAPHS) else character


def _apart(character: str) -> bool:
    """Whether it is punctuation; of ASCII whatever is no letter, digit or blank."""
    if character.isascii():
        return not character.isalnum() and not character.isspace() and character.isprintable()
    return unicodedata.category(character).startswith("P")


@dataclass(frozen=True)
class WordPieces(Vocabulary):
    """Pieces by number."""

    form: ClassVar[str] = "word_pieces"

    def __post_init__(self) -> None:
        object.__setattr__(self, "_number", {token: i for i, token in enumerate(self.tokens)})
        object.__setattr__(self, "_known", {})

    @classmethod
    def learn(cls, texts: Iterable[str], size: int) -> WordPieces:
        """A vocabulary of at most `size` pieces; all characters of the texts are among them."""
        counts = Counter(word for text in texts for word in words_of(text))
        words = {(word[0], *(CONTINUES + c for c in word[1:])): n for word, n in counts.items()}
        first = sorted({token for word in words for token in word})
        tokens, _ = learn_merges(words, (*SPECIAL, *first), size, prefix=CONTINUES)
        return cls(tuple(tokens))

    @classmethod
    def read(cls, file: Path) -> WordPieces:
        """A published vocab.txt, one piece a line; its numbers are the published ones. DataError for another file."""
        try:
            tokens = file.read_text("utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise DataError(f"{file} is no vocabulary of word pieces: {error}", "name vocab.txt") from error
        if "[UNK]" not in tokens:
            raise DataError(f"{file} has no piece [UNK]", "name vocab.txt of BERT")
        return cls(tuple(tokens))

    def encode(self, text: str) -> list[int]:
        return [number for word in words_of(text) for number in self._of_word(word)]

    def _of_word(self, word: str) -> list[int]:
        known: dict[str, list[int]] = getattr(self, "_known")  # noqa: B009
        if word not in known:
            known[word] = self._split(word)
        return known[word]

    def _split(self, word: str) -> list[int]:
        number: dict[str, int] = getattr(self, "_number")  # noqa: B009
        unknown = [number.get("[UNK]", UNKNOWN)]
        if len(word) > LONGEST:
            return unknown
        pieces, at = [], 0
        while at < len(word):
            head = CONTINUES if at else ""
            end = next((e for e in range(len(word), at, -1) if head + word[at:e] in number), None)
            if end is None:
                return unknown
            pieces.append(number[head + word[at:end]])
            at = end
        return pieces

    def decode(self, numbers: Iterable[int]) -> str:
        pieces = [self.tokens[i] for i in numbers if self.tokens[i] not in SPECIAL]
        return " ".join(pieces).replace(f" {CONTINUES}", "")

    def to_json(self) -> dict[str, Any]:
        return {"form": self.form, "tokens": list(self.tokens)}
