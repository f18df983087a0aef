"""The chapter "Layers while training": activations, gradients and updates as small plots, and a line for each layer."""

from __future__ import annotations

import math

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.reports.chapter import PageSection
from sightline.reports.parts.figures import Chart
from sightline.reports.template import section
from sightline.reports.wording import decimal, percent

from .health import Health, NormGap

DRAWN = 5  # layers of a chart
_TONES = ("one", "two", "three", "plain", "quiet")


def health_section(health: Health | None) -> PageSection | None:
    """The chapter; None without samples."""
    if health is None or not any(len(c) > 1 for layer in health.layers for c in layer.courses.values()):
        return None
    charts = [
        _chart(health, "ratio", "update-to-weight ratio", "‖Δw‖ / ‖w‖ of a step; about 1e−3 is usual", log=True),
        _chart(
            health, "gradient", "gradient norm", "Euclidean norm of the weights' gradient, after clipping", log=True
        ),
        _chart(health, "deviation", "deviation of activations", "Standard deviation of what goes into the layer"),
        _chart(health, "dead", "share of dead units", "Units that are 0 for all images of the sample"),
    ]
    rows = [
        {
            "name": layer.name,
            "cells": [
                decimal(layer.last("mean")), decimal(layer.last("deviation")),
                percent(layer.last("dead"), 100), decimal(layer.last("gradient")), decimal(layer.middle("ratio")),
            ],
        }
        for layer in health.layers
    ]  # fmt: skip
    values = {"charts": [c for c in charts if c is not None], "rows": rows, "norms": _norm_words(health.norms)}
    return PageSection("layers", "Layers while training", section("health_section", values))


def _norm_words(gap: NormGap | None) -> str:
    if gap is None:
        return ""
    return (
        f"Batch norm: on {gap.n:,} training images the headline is {decimal(gap.running)} with the running statistics, with "
        f"which the network is used, and {decimal(gap.batch)} with those of batches of {gap.of:,}."
    )


def _chart(health: Health, what: str, title: str, caption: str, *, log: bool = False) -> Chart | None:
    """A line for at most five layers, evenly spaced through the network."""
    known = [layer for layer in health.layers if len(layer.courses.get(what, ())) > 1]
    if not known:
        return None
    places = sorted({round(i * (len(known) - 1) / max(1, DRAWN - 1)) for i in range(DRAWN)})
    lines = []
    for place, tone in zip(places, _TONES, strict=False):
        course = known[place].courses[what]
        values = [v if v > 0 or not log else math.nan for _, v in course]
        lines.append(Line(known[place].name, [s for s, _ in course], values, tone))
    positive = [v for line in lines for v in line.y if v > 0]
    if log and not positive:
        return None
    log = log and max(positive) / min(positive) > 10
    frame = Frame(
        f"{title[:1].upper()}{title[1:]}", f"{title} of {len(lines)} layers by step.", "step", title, log_y=log
    )
    spread = f" of {len(lines)} of {len(known)} layers" if len(known) > len(lines) else ""
    return Chart(line_chart(lines, frame), f"{caption}{spread}.")
