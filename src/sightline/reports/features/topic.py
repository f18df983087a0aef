"""What the page and the contact sheets say of one method: its title, how to read it, and its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sightline.drawing.png import Picture


@dataclass(frozen=True)
class Figure:
    """A picture with its title and sentences below it; `wide` where it takes the page's whole width."""

    title: str
    picture: Picture
    words: Sequence[str] = ()
    wide: bool = False


@dataclass(frozen=True)
class Topic:
    """A method's part of the page. Without figures it was left out, for the reason `refusal`.

    method    by its name
    paper     its source
    reading   how to read the pictures, in a sentence or two
    notes     what was measured or must be known
    warnings  what did not come out as it should
    """

    method: str
    title: str
    paper: str
    reading: str
    figures: Sequence[Figure] = ()
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    refusal: str = ""
