"""What the page and the contact sheet of an explanation show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sightline.drawing.heat import Heat, heat, in_original
from sightline.drawing.overlay import framed, outlined
from sightline.drawing.png import Picture, enlarged, fitted
from sightline.explanation.attribution.methods import METHODS
from sightline.explanation.explaining import Controls, Explained
from sightline.explanation.question import Question
from sightline.structures.frames import move_boxes

LONGEST = 360  # pixels of a picture's longer side
MARK = (20, 120, 60)  # the colour of the object or region in question
CONTROL_TITLES = {"edges": "Edges (Sobel)", "random": "Random map"}


@dataclass(frozen=True)
class Shown:
    """One image with its explanations.

    name      of its file
    picture   the original image, (H, W, c) uint8
    frame     (3, 3) original → network
    """

    name: str
    picture: Picture
    frame: Float[np.ndarray, "3 3"]
    question: Question
    explained: Sequence[Explained]
    controls: Controls | None

    @property
    def small(self) -> tuple[Picture, Float[np.ndarray, "3 3"]]:
        """The image as it is drawn, and the frame of the drawing: small images enlarged, large ones shrunk."""
        grown = enlarged(self.picture, least=224, most=LONGEST)
        drawn = fitted(grown, least=1, most=LONGEST)
        scale = np.array([self.picture.shape[1] / drawn.shape[1], self.picture.shape[0] / drawn.shape[0], 1.0])
        return drawn, self.frame * scale  # columns: x and y of the drawing → of the original → of the network

    def original(self) -> Picture:
        """The image, with the object or the region in question marked."""
        drawn, frame = self.small
        if self.question.box is not None:
            box = move_boxes(np.array([self.question.box]), np.linalg.inv(frame))
            return framed(drawn, box, [MARK])
        if self.question.region is not None:
            region = in_original(self.question.region.astype(float), frame, drawn.shape[:2]) > 0.5
            return outlined(drawn, region[None], [MARK])
        return drawn if drawn.shape[2] == 3 else np.repeat(drawn, 3, 2)

    def over(self, values: Float[np.ndarray, "h w"]) -> Heat:
        """A map of the network's frame over the original image."""
        drawn, frame = self.small
        return heat(drawn, in_original(values, frame, drawn.shape[:2]))


def scale_words(one: Heat, *, signed: bool, unit: str) -> str:
    """The scale of a picture in words, such as "-0.31 to 0.31 score"."""
    if not one.scale:
        return "0 everywhere"
    low = f"-{one.scale:.3g}" if signed else "0"
    beyond = f"; the largest magnitude is {one.clipped:.3g}" if one.clipped is not None else ""
    return f"{low} to {one.scale:.3g} {unit}{beyond}"


def evidence_sentence(one: Explained, score: str) -> str:
    """For a map without any positive value."""
    return f"No positive evidence: nothing in the image raises {score} by this method." if one.without_evidence else ""


def sanity_sentence(one: Explained) -> str:
    """What shuffling the weights does to the map, in words."""
    if not one.stages:
        return ""
    title, head, whole = METHODS[one.method].title, one.stages[0], one.stages[-1]
    if not one.map.any():  # type: ignore[union-attr]
        return ""
    if one.ignores_the_head:
        return (
            f"{title} hardly depends on what the head learned: with a shuffled head the map is almost the same (rank "
            f"correlation {head.spearman:.2f}). It shows the image more than the reason for the answer."
        )
    return (
        f"{title} depends on the weights: its rank correlation with the map falls to {head.spearman:.2f} with a shuffled head "
        f"and to {whole.spearman:.2f} with all weights shuffled."
    )


def area_rows(shown: Shown) -> list[tuple[str, Mapping[str, Mapping[str, float]]]]:
    """(title, areas) of each method and each control."""
    rows = [(METHODS[e.method].title, e.areas) for e in shown.explained if e.areas]
    if shown.controls is not None:
        names = {**CONTROL_TITLES, "centre": "Centre (Gaussian)"}
        rows += [(names[name], areas) for name, areas in shown.controls.areas.items()]
    return rows
