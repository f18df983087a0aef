"""The chapter of diffusion and flow matching: how noise becomes images, and at which times the network errs."""

from __future__ import annotations

import numpy as np

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.reports.chapter import Chapter, PageSection, RowFacts, Scene
from sightline.reports.finding import VerdictFacts
from sightline.reports.headline import Headline
from sightline.reports.parts.figures import Chart
from sightline.reports.parts.picture import KILOBYTE, page_picture
from sightline.reports.rules import data
from sightline.reports.rules import generation as rules
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.reports.template import section
from sightline.reports.thresholds import DENSE_LIMITS, Thresholds
from sightline.reports.wording import decimal
from sightline.structures.figure_rows import FigureRows

from . import section as generation

BINS = 10  # of the times


def sections(scene: Scene) -> list[PageSection]:
    """The images over training, the strip, the loss by time and the nearest training images, as far as the run has them."""
    made = generation.sections(scene)
    found = [part for part in made if part.anchor == "made"]
    if scene.content.strip is not None:
        picture = page_picture(scene.content.strip, most=1280, limit=600 * KILOBYTE)
        intro = (
            "Above, real images on their way into noise. Below, from the left, noise on its way to images, at evenly spaced "
            "steps of the sampler; the images below are artificial."
        )
        found.append(PageSection("denoising", "Into noise and out of it", section("strip_section", intro, picture)))
    evaluation = scene.content.evaluation
    if evaluation is not None and isinstance(evaluation.rows, FigureRows) and len(evaluation.rows):
        found.append(_by_time(evaluation.rows))
    return [*found, *(part for part in made if part.anchor != "made")]


def _by_time(rows: FigureRows) -> PageSection:
    time, loss = rows.column("time"), rows.column("loss")
    place = np.minimum((time * BINS).astype(int), BINS - 1)
    known = [k for k in range(BINS) if (place == k).any()]
    means = [float(loss[place == k].mean()) for k in known]
    line = Line("loss", [(k + 0.5) / BINS for k in known], means)
    highest = known[int(np.argmax(means))]
    frame = Frame(
        "Loss by time", "Means over tenths of the time", "time, from image (0) to noise (1)", "loss", (0.0, 1.0),
        (0.0, 1.05 * max(means)),
    )  # fmt: skip
    note = (
        f"Mean loss {decimal(float(loss.mean()))}. It is largest from {highest / BINS:g} to {(highest + 1) / BINS:g}. Finding "
        "the noise in an image that has hardly any is hard, and changes the image little."
    )
    title = "Loss by time"
    return PageSection(
        "times", title, section("charts_section", "times", title, [Chart(line_chart([line], frame), note)])
    )


def _row_facts(evaluation: SplitEvaluation, headline: Headline, limits: Thresholds) -> RowFacts:
    return RowFacts()


def _opening(facts: VerdictFacts) -> str:
    value = facts.metric(facts.split, "loss")
    if value is None:
        return "Training finished. The loss was not measured: look at the images."
    return f"Its mean loss is {decimal(value)} on {facts.n:,} {facts.split} images. Look at what it makes."


DENOISING = Chapter(
    metric_names={"loss": "loss (mean squared error)", "memorised": "repeats of a training image"},
    row_facts=_row_facts,
    rules=(rules.memorisation, data.untested),
    opening=_opening,
    in_per_cent=lambda name: name == "memorised",
    sections=sections,
    limits=DENSE_LIMITS,
)
