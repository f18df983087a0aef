"""The chapter of a generative network: its images over training, losses and gradients, regions, neighbours."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.drawing.figures.film import film
from sightline.drawing.png import data_uri, grid, png_bytes
from sightline.reports.chapter import Chapter, PageSection, RowFacts, Scene
from sightline.reports.headline import Headline
from sightline.reports.parts.figures import Chart
from sightline.reports.parts.picture import KILOBYTE, page_picture
from sightline.reports.rules import data
from sightline.reports.rules import generation as rules
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.reports.template import section
from sightline.reports.thresholds import DENSE_LIMITS, Thresholds
from sightline.reports.wording import decimal, percent, plural

from .stored import Making

SHOWN = 4  # sheets that stand beside each other
FILM = 900 * KILOBYTE
METRICS = {
    "frechet": "Fréchet distance (means of 7 x 7 cells)",
    "frechet_floor": "… of two halves of the real images",
    "frechet_noise": "… of noise",
    "kernel": "kernel distance",
    "precision": "precision",
    "recall": "recall",
    "regions": "regions reached",
    "memorised": "repeats of a training image",
    "score_real": "mean score of real images",
    "score_made": "mean score of made images",
}
_SHARES = ("precision", "recall", "regions", "memorised")
Log = Sequence[Mapping[str, float]]


def sections(scene: Scene) -> list[PageSection]:
    """What the run stored; nothing where it made no images."""
    making = scene.content.making
    if making is None:
        return []
    parts = [_samples(making), _game(making.log), _regions(scene), _neighbours(making)]
    return [part for part in parts if part is not None]


def _samples(making: Making) -> PageSection | None:
    if not making.sheets:
        return None
    steps = [step for step, _ in making.sheets]
    chosen = [round(i * (len(steps) - 1) / max(SHOWN - 1, 1)) for i in range(SHOWN)]
    sheets = [_pixels(making.sheets[i][1]) for i in dict.fromkeys(chosen)]
    captions = [f"step {steps[i]:,}" for i in dict.fromkeys(chosen)]
    longest = max(max(sheet.shape[:2]) for sheet in sheets)
    picture = grid(sheets, columns=2, gap=12, least=longest, most=max(longest, 2 * longest - 1), captions=captions)
    moving = _moving(making)
    values = page_picture(png_bytes(picture), most=2560, limit=800 * KILOBYTE)
    intro = (
        f"The same {plural(32, 'image')} by number, from the same noise, at {plural(len(steps), 'step')} of training."
    )
    return PageSection("made", "Images over training", section("made_section", intro, values, moving))


def _moving(making: Making) -> str:
    """The sheets as a film in a data URI, "" where it would be too large for the page."""
    pixels = [_pixels(png) for _, png in making.sheets]
    same = [sheet for sheet in pixels if sheet.shape == pixels[-1].shape]
    if len(same) < 2:
        return ""
    moving = film(np.stack(same), milliseconds=250, rest=1500, least=1)
    return data_uri(moving).replace("image/png", "image/gif") if len(moving) <= FILM else ""


def _pixels(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"))


def _game(log: Log) -> PageSection | None:
    charts = []
    for title, names, label, log_y in (
        ("Losses", ("critic", "generator"), "loss", False),
        ("Gradient norms", ("critic_gradient", "generator_gradient"), "norm", True),
        ("Scores of the critic", ("score_real", "score_made"), "logit", False),
    ):
        lines = [
            Line(name.replace("_gradient", "").replace("score_", ""), *series, tone)
            for name, tone in zip(names, ("one", "two"), strict=True)
            if len((series := _series(log, name))[0]) > 1
        ]
        if lines:
            frame = Frame(title, "One line a network or kind of image", "step", label, log_y=log_y)
            last = ", ".join(f"{line.name} {decimal(line.y[-1])}" for line in lines)
            charts.append(Chart(line_chart(lines, frame), f"{title}; at the end {last}. Means over ten steps."))
    return (
        PageSection("game", "Generator and critic", section("charts_section", "game", "Generator and critic", charts))
        if charts
        else None
    )


def _series(log: Log, name: str) -> tuple[list[float], list[float]]:
    known = [(row["step"], row[name]) for row in log if name in row]
    return [step for step, _ in known], [value for _, value in known]


def _regions(scene: Scene) -> PageSection | None:
    evaluation = scene.content.evaluation
    shares = getattr(evaluation.judgement, "shares", ()) if evaluation is not None else ()
    if not shares:
        return None
    real, made = shares
    order = np.argsort(-np.asarray(real), kind="stable")
    places = list(range(1, len(order) + 1))
    lines = [
        Line(name, places, [100 * values[i] for i in order], tone)
        for name, values, tone in (("real", real, "quiet"), ("made", made, "one"))
    ]
    most = 105 * max(max(real), max(made))
    frame = Frame("Regions of the real images", "Shares of both sets", "region, by size", "per cent", None, (0, most))
    reached = scene.facts.metric(scene.facts.split, "regions")
    note = f"Shares of both sets in regions of the real images (k-means); {percent(reached)} of them are reached."
    return PageSection(
        "regions", "Coverage", section("charts_section", "regions", "Coverage", [Chart(line_chart(lines, frame), note)])
    )


def _neighbours(making: Making) -> PageSection | None:
    if making.neighbours is None or making.facts is None:
        return None
    facts = making.facts
    picture = page_picture(making.neighbours, most=2560, limit=400 * KILOBYTE)
    intro = (
        f"Above, the made images that are nearest to a training image, of {facts.get('n', 0):,}; below, that image, of "
        f"{facts.get('train', 0):,}. {percent(facts.get('memorised'))} repeat one: they lie nearer to it than 99 % of "
        f"{facts.get('held_out', 0):,} held-out images do, and than a third of the distance to any other. Distances in "
        f"{facts.get('features', '')}."
    )
    return PageSection("neighbours", "Nearest training images", section("neighbours_section", intro, picture))


def _row_facts(evaluation: SplitEvaluation, headline: Headline, limits: Thresholds) -> RowFacts:
    return RowFacts()


GENERATION = Chapter(
    metric_names=METRICS,
    row_facts=_row_facts,
    result=rules.result,
    rules=(rules.collapse, rules.vanishing, rules.memorisation, data.untested),
    opening=rules.opening,
    sections=sections,
    limits=DENSE_LIMITS,
    intervals="of the distance by a jackknife over 20 groups of images",
    in_per_cent=lambda name: name in _SHARES,
)
