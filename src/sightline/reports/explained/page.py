"""The page of an explanation: one HTML file without scripts or addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from sightline.drawing.heat import bar
from sightline.drawing.png import Picture, data_uri, png_bytes
from sightline.drawing.shrunk import shrunk
from sightline.explanation.attribution.methods import METHODS
from sightline.explanation.controls.faithfulness import FILLS
from sightline.explanation.explaining import Explained
from sightline.reports.build import policy
from sightline.reports.template import HERE, environment
from sightline.version import __version__

from .content import CONTROL_TITLES, Shown, area_rows, evidence_sentence, sanity_sentence, scale_words

_MEASURES = ("deletion", "insertion")
_FILL_WORDS = {"blur": "blurred", "mean": "image mean"}


def explanation_page(images: Sequence[Shown], *, run: str, model: str, facts: Sequence[tuple[str, str]]) -> str:
    """The HTML of all images; `facts` are (name, value) pairs for its end."""
    css = "\n".join((HERE / name).read_text(encoding="utf-8") for name in ("style.css", "explained/explained.css"))
    methods = [e.method for e in images[0].explained] if images else []
    values: dict[str, Any] = {
        "css": Markup(css),
        "policy": policy(css),
        "version": __version__,
        "run": run,
        "model": model,
        "images": [_image(shown) for shown in images],
        "methods": [METHODS[name] for name in methods],
        "facts": facts,
        "summary": _summary(images),
    }
    return environment().get_template("explained/page.html").render(values)


def _summary(images: Sequence[Shown]) -> list[str]:
    """Which methods pass the check of shuffled weights, over all images; first what fails."""
    failing: dict[str, list[float]] = {}
    passing: list[str] = []
    for shown in images:
        for one in shown.explained:
            if one.stages and one.map is not None and one.map.any():
                if one.ignores_the_head:
                    failing.setdefault(one.method, []).append(one.stages[0].spearman)
                else:
                    passing.append(one.method)
    lines = []
    for method, values in failing.items():
        total = len(values) + passing.count(method)
        of = f" on {len(values)} of {total} images" if total > 1 else ""
        lines.append(
            f"{METHODS[method].title} hardly changes when the head's weights are shuffled{of} (rank correlation "
            f"{max(values, key=abs):.2f}): do not read it as a reason for the answer."
        )
    passed = [METHODS[m].title for m in dict.fromkeys(passing) if m not in failing]
    if passed:
        lines.append(f"{', '.join(passed)}: the map changes when the head's weights are shuffled.")
    return lines


def _image(shown: Shown) -> dict[str, Any]:
    explained = [_method(shown, one) for one in shown.explained]
    controls = [] if shown.controls is None else [
        {"title": title, "png": _png(shown.over(shown.controls.maps[key]).picture)} for key, title in CONTROL_TITLES.items()
    ]  # fmt: skip
    return {
        "name": shown.name,
        "png": _png(shown.original()),
        "answer": shown.question.answer,
        "score": shown.question.score,
        "methods": [row for row in explained if row["png"]],
        "refused": [row for row in explained if not row["png"]],
        "controls": controls,
        "areas": [{"title": title, "cells": _cells(areas)} for title, areas in area_rows(shown)],
        "heads": [f"{measure}, {_FILL_WORDS[fill]}" for fill in FILLS for measure in _MEASURES],
        "stages": _stages(shown),
    }


def _method(shown: Shown, one: Explained) -> dict[str, Any]:
    method = METHODS[one.method]
    row: dict[str, Any] = {"title": method.title, "paper": method.paper, "refusal": one.refusal, "png": None}
    if one.attribution is None or one.map is None:
        return row
    over, signed = shown.over(one.map), one.attribution.signed
    return row | {
        "png": _png(over.picture),
        "bar": _png(bar(200, 8, signed=signed)),
        "scale": scale_words(over, signed=signed, unit=one.attribution.unit),
        "reading": method.reading,
        "notes": one.attribution.notes,
        "evidence": evidence_sentence(one, shown.question.score),
        "sanity": sanity_sentence(one),
        "caught": one.ignores_the_head and bool(one.map.any()),
        "randomised": None if one.randomised is None else _png(shown.over(one.randomised).picture),
    }


def _cells(areas: Mapping[str, Mapping[str, float]]) -> list[str]:
    return [f"{areas[fill][measure]:.3f}" for fill in FILLS for measure in _MEASURES]


def _stages(shown: Shown) -> list[dict[str, Any]]:
    """One row for each method and stage of the cascade."""
    return [
        {
            "title": METHODS[one.method].title,
            "stage": stage.name,
            "spearman": f"{stage.spearman:.2f}",
            "ssim": f"{stage.ssim:.2f}",
        }
        for one in shown.explained
        for stage in one.stages
    ]


def _png(picture: Picture) -> Markup:
    return Markup(data_uri(shrunk(png_bytes(picture), most=max(picture.shape[:2]))))
