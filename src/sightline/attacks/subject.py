"""What is attacked: a network as a function, and images with labels."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jaxtyping import Int, UInt8
from torch import Tensor

from .scores import Scores, predicted


@dataclass(frozen=True)
class Subject:
    """scores    pixels (b, c, h, w) in levels → (b, k)
    images    in the network's frame, with labels (n,), the ids that key their draws, and names
    classes   k names
    batch     images of one forward pass
    quick     nearly the same function as `scores`, but faster, for searches; None where there is none
    own       whether the labels are the network's own predictions, because nobody gave any
    """

    scores: Scores
    images: UInt8[Tensor, "n c h w"]
    labels: Int[Tensor, "n"]
    ids: Int[Tensor, "n"]
    names: tuple[str, ...]
    classes: tuple[str, ...]
    batch: int = 64
    own: bool = False
    quick: Scores | None = None

    def __len__(self) -> int:
        return len(self.images)

    def as_predicted(self) -> Subject:
        """The same images, labelled by the network itself."""
        return replace(self, labels=predicted(self.scores, self.images.float(), self.batch), own=True)
