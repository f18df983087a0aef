"""Several questions about one image, answered side by side: where the answers of each stand among all of them.

All answers of an image form one vector (k,). A question with classes has one entry for each class, one with labels an entry
for each label, and a number has a single entry: `age`, `gender=0`, `gender=1`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

HeadKind = Literal["class", "labels", "number"]


@dataclass(frozen=True)
class Head:
    """A question by `name`: one of its `answers` is right (class), any of them (labels), or its only one is a number. Its
    entries are `start` … `stop`."""

    name: str
    kind: HeadKind
    answers: tuple[str, ...]
    start: int = 0

    @property
    def stop(self) -> int:
        return self.start + len(self.answers)

    @property
    def place(self) -> slice:
        """Its entries among those of all questions."""
        return slice(self.start, self.stop)

    @property
    def entries(self) -> tuple[str, ...]:
        """The names of its entries."""
        return (self.name,) if self.kind == "number" else tuple(f"{self.name}={answer}" for answer in self.answers)

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "kind": self.kind, "answers": list(self.answers)}


def side_by_side(heads: Sequence[Head]) -> tuple[Head, ...]:
    """The same questions, the entries of each behind those of the one before."""
    placed: list[Head] = []
    for head in heads:
        placed.append(Head(head.name, head.kind, head.answers, placed[-1].stop if placed else 0))
    return tuple(placed)


def heads_of(values: Sequence[Mapping[str, Any]]) -> tuple[Head, ...]:
    """Questions from their JSON. KeyError, TypeError or ValueError for anything else."""
    heads = [Head(str(v["name"]), v["kind"], tuple(str(a) for a in v["answers"])) for v in values]
    if not heads or any(h.kind not in ("class", "labels", "number") or not h.answers for h in heads):
        raise ValueError("no questions")
    return side_by_side(heads)
