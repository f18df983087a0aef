"""The page of an explanation: one HTML file without scripts or addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from sightline.drawing.heat import bar
from sightline.drawing.png import Picture, data_uri, fitted
from sightline.drawing.shrunk import with_palette
from sightline.explanation.attribution.methods import METHODS
from sightline.explanation.controls.faithfulness import FILLS
from sightline.explanation.results import Explanation, sanity_of
from sightline.reports.build import policy
from sightline.reports.template import HERE, environment
from sightline.version import __version__

from .content import (
    CONTROL_TITLES,
    Entry,
    area_rows,
    evidence_sentence,
    likeness_sentence,
    sanity_sentence,
    scale_words,
)

SMALL = 176  # pixels of the map of random weights, at twice its size on the page
_MEASURES = ("deletion", "insertion")
_FILL_WORDS = {"blur": "blurred", "mean": "image mean"}


def explanation_page(images: Sequence[Entry], *, run: str, model: str, facts: Sequence[tuple[str, str]]) -> str:
    """The HTML of all images; `facts` are (name, value) pairs for its end."""
    css = "\n".join((HERE / name).read_text(encoding="utf-8") for name in ("style.css", "explanation/explanation.css"))
    methods = [e.method for e in images[0].explanations] if images else []
    values: dict[str, Any] = {
        "css": Markup(css),
        "policy": policy(css),
        "version": __version__,
        "run": run,
        "model": model,
        "images": [_image(entry) for entry in images],
        "methods": [METHODS[name] for name in methods],
        "facts": facts,
        "summary": _summary(images),
    }
    return environment().get_template("explanation/page.html").render(values)


def _summary(images: Sequence[Entry]) -> list[str]:
    """What randomising the head says of each method, over all images; first what fails."""
    found = sanity_of([entry.explanations for entry in images])
    return [sanity_sentence(method, one) for method, one in sorted(found.items(), key=lambda row: not row[1].caught)]


def _image(entry: Entry) -> dict[str, Any]:
    explained = [_method(entry, one) for one in entry.explanations]
    controls = [] if entry.controls is None else [
        {"title": title, "png": _png(entry.over(entry.controls.maps[key]).picture)} for key, title in CONTROL_TITLES.items()
    ]  # fmt: skip
    return {
        "name": entry.name,
        "png": _png(entry.original()),
        "answer": entry.question.answer,
        "score": entry.question.score,
        "methods": [row for row in explained if row["png"]],
        "refused": [row for row in explained if not row["png"]],
        "controls": controls,
        "areas": [{"title": title, "cells": _cells(areas)} for title, areas in area_rows(entry)],
        "heads": [f"{measure}, {_FILL_WORDS[fill]}" for fill in FILLS for measure in _MEASURES],
        "stages": _stages(entry),
    }


def _method(entry: Entry, one: Explanation) -> dict[str, Any]:
    method = METHODS[one.method]
    row: dict[str, Any] = {"title": method.title, "paper": method.paper, "refusal": one.refusal, "png": None}
    if one.attribution is None or one.map is None:
        return row
    over, signed = entry.over(one.map), one.attribution.signed
    return row | {
        "png": _png(over.picture),
        "bar": _png(bar(200, 8, signed=signed)),
        "scale": scale_words(over, signed=signed, unit=one.attribution.unit),
        "reading": method.reading,
        "notes": one.attribution.notes,
        "evidence": evidence_sentence(one, entry.question.score),
        "likeness": likeness_sentence(one),
        "caution": method.caution,
        "randomised": None if one.randomised is None else _png(fitted(entry.over(one.randomised).picture, most=SMALL)),
    }


def _cells(areas: Mapping[str, Mapping[str, float]]) -> list[str]:
    return [f"{areas[fill][measure]:.3f}" for fill in FILLS for measure in _MEASURES]


def _stages(entry: Entry) -> list[dict[str, Any]]:
    """One row for each method and stage of the cascade."""
    return [
        {
            "title": METHODS[one.method].title,
            "stage": stage.name,
            "spearman": f"{stage.mean:.2f}",
            "ssim": f"{stage.ssim:.2f}",
        }
        for one in entry.explanations
        for stage in one.stages
    ]


def _png(picture: Picture) -> Markup:
    return Markup(data_uri(with_palette(picture)))
