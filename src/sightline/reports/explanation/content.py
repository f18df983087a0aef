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
from sightline.explanation.controls.sanity import Sanity
from sightline.explanation.question import Question
from sightline.explanation.results import Controls, Explanation
from sightline.structures.frames import move_boxes

LONGEST = 360  # pixels of a picture's longer side
MARK = (20, 120, 60)  # the colour of the object or region in question
CONTROL_TITLES = {"edges": "Edges (Sobel)", "random": "Random map"}


@dataclass(frozen=True)
class Entry:
    """One image with its explanations.

    name      of its file
    picture   the original image, (H, W, c) uint8
    frame     (3, 3) original → network
    """

    name: str
    picture: Picture
    frame: Float[np.ndarray, "3 3"]
    question: Question
    explanations: Sequence[Explanation]
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


def evidence_sentence(one: Explanation, score: str) -> str:
    """For a map without any positive value."""
    return f"No positive evidence: nothing in the image raises {score} by this method." if one.without_evidence else ""


def likeness_sentence(one: Explanation) -> str:
    """How far this image's map resembles those of randomised networks, in words; the verdict is that of all images."""
    if not one.stages:
        return "With random weights throughout."
    head, whole = one.stages[0], one.stages[-1]
    words = f"With random weights throughout. Rank correlation with the map above: {whole.mean:.2f}"
    return f"{words}; with a random head alone {head.mean:.2f}." if len(one.stages) > 1 else f"{words}."


def sanity_sentence(method: str, found: Sanity) -> str:
    """What all images together say of a method."""
    title = METHODS[method].title
    images = "1 image" if found.images == 1 else f"{found.images} images"
    figure = f"rank correlation {found.spearman:.2f}, mean of {images}"
    if found.caught:
        return f"{title} stays the same when the head is random ({figure}): do not read it as a reason for the answer."
    if found.verdict == "too few images":
        return (
            f"{title}: too few images to tell whether the map depends on the head ({figure}, up to {found.high:.2f})."
        )
    return f"{title} changes when the head is random ({figure})."


def area_rows(entry: Entry) -> list[tuple[str, Mapping[str, Mapping[str, float]]]]:
    """(title, areas) of each method and each control."""
    rows = [(METHODS[e.method].title, e.areas) for e in entry.explanations if e.areas]
    if entry.controls is not None:
        names = {**CONTROL_TITLES, "centre": "Centre (Gaussian)"}
        rows += [(names[name], areas) for name, areas in entry.controls.areas.items()]
    return rows
