"""What is asked about one image: why this score? A kind of task turns a choice into a question."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool

from .subject import Subject


@dataclass(frozen=True)
class Choice:
    """What the user wants explained: the class with index `target`, the object with number `number` (0 is the surest). None:
    what the network itself answers."""

    target: int | None = None
    number: int | None = None


@dataclass(frozen=True)
class Question:
    """The score of one image that is explained.

    target    its index in the subject's scores
    score     it in words, such as "the score of 'cat'"
    answer    what the network answers, in words
    box       xyxy of the object in the network's frame, where the question is about one
    region    (h, w) the pixels in the network's frame whose scores are summed, where it is about some
    """

    subject: Subject
    target: int
    score: str
    answer: str
    box: tuple[float, float, float, float] | None = None
    region: Bool[np.ndarray, "h w"] | None = None


Ask = Callable[[Any, Any, Choice, Any], Question]  # (task, batch of one image, choice, names of the classes)
