"""What every vocabulary can do, and the tokens that none goes without."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

PAD, START, END, UNKNOWN, MASK = range(5)  # numbers of the tokens that begin every vocabulary
SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]")


@dataclass(frozen=True)
class Vocabulary(ABC):
    """`tokens` by number; the first five are `SPECIAL`. A sequence begins with START and stops at END."""

    tokens: tuple[str, ...]
    form: ClassVar[str]

    def __len__(self) -> int:
        return len(self.tokens)

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """The numbers of a text's tokens, without START and END."""

    @abstractmethod
    def decode(self, numbers: Iterable[int]) -> str:
        """The text of tokens; special ones are left out."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """As `vocabulary_of` reads it, with its `form`."""

    def sequence(self, text: str, longest: int) -> list[int]:
        """START, the text, END, cut to `longest` numbers; END stays."""
        return [START, *self.encode(text)[: max(longest - 2, 0)], END]


@dataclass(frozen=True)
class Characters(Vocabulary):
    """Every character is a token."""

    form: ClassVar[str] = "characters"

    def __post_init__(self) -> None:
        object.__setattr__(self, "_number", {token: i for i, token in enumerate(self.tokens)})

    @classmethod
    def learn(cls, texts: Iterable[str]) -> Characters:
        """All characters of the texts, in order of their code points."""
        return cls((*SPECIAL, *sorted(set().union(*texts))))

    def encode(self, text: str) -> list[int]:
        number: dict[str, int] = getattr(self, "_number")  # noqa: B009
        return [number.get(character, UNKNOWN) for character in text]

    def decode(self, numbers: Iterable[int]) -> str:
        return "".join(self.tokens[i] for i in numbers if i >= len(SPECIAL))

    def to_json(self) -> dict[str, Any]:
        return {"form": self.form, "tokens": list(self.tokens)}


def until_end(numbers: Sequence[int]) -> list[int]:
    """The numbers before the first END."""
    numbers = list(numbers)
    return numbers[: numbers.index(END)] if END in numbers else numbers
