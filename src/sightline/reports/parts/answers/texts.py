"""What the report says about written answers only: examples beside the true texts, and how much is right of long ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from math import exp

import numpy as np

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.evaluation.language.texts import Z
from sightline.metrics.proportions import wilson
from sightline.reports.chapter import Chapter, PageSection, RowFacts, Scene
from sightline.reports.finding import Finding, VerdictFacts
from sightline.reports.headline import Headline
from sightline.reports.parts.figures import Chart
from sightline.reports.rules import data
from sightline.reports.rules.course import course
from sightline.reports.rules.learning import headline_interval, split_word
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.reports.template import section
from sightline.reports.thresholds import DENSE_LIMITS, Thresholds, dense_threshold_rows
from sightline.reports.wording import decimal, plural

from .views import chart_section, worst_answers, worst_section

EXACT = Headline(
    "exact", "exact answers", of_images=True, meaning="the share of the answers that are a true text, letter by letter"
)
BLEU = Headline(
    "bleu",
    "BLEU",
    meaning="the geometric mean of the shares of its 1- to 4-grams that the true text has, less a penalty for brevity",
)
METRICS = {
    "exact": "exact answers",
    "character_error": "character error rate (edits by characters of the truth)",
    "bleu": "BLEU",
    "word_recall": "words of the truth that the answer has",
    "loss": "loss of a token",
}
EXAMPLES = 16  # samples in the table
MOST_BANDS = 12  # lengths in the chart


def text_chapter(headline: Headline, *, images: bool) -> Chapter:
    """The chapter of a kind whose answers are texts about images, or about other texts."""

    def sections(scene: Scene) -> list[PageSection]:
        evaluation = scene.content.evaluation
        if evaluation is None or not evaluation.judgement.n:
            return []
        found = [] if images else [_examples(scene, evaluation)]
        if chart := _by_length(evaluation):
            found.append(chart_section("lengths", "Long and short texts", [chart]))
        if images:
            views = worst_answers(evaluation, scene.load_image, scene.content.maps, _words(evaluation))
            intro = "The images whose answers need the most edits to become a true text, by its length."
            found += [worst_section(views, intro, scene.content.maps)] if views else []
        return found

    return Chapter(
        headline=headline,
        metric_names=METRICS,
        row_facts=lambda evaluation, headline, limits: RowFacts(),
        result=_result,
        rules=(course, data.test_size, data.untested, data.near_perfect),
        sections=sections,
        limits=DENSE_LIMITS,
        threshold_rows=dense_threshold_rows,
        in_per_cent=lambda name: name != "loss",
    )


def _result(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    value, interval, headline = facts.value, headline_interval(facts, limits), facts.headline
    if value is None:
        return None
    span = f" (95 % interval {headline.span(*interval)})" if interval is not None else ""
    where = plural(facts.n, f"{split_word(facts.split)} sample")
    text = f"{headline.title} {headline.figure(value)}{span} on {where}: {headline.meaning}."
    return Finding("note", "result", f"{headline.title} {headline.figure(value)}", text)


def _no_result(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    return None


def _words(evaluation: SplitEvaluation) -> Callable[[int], tuple[str, str]]:
    rows = evaluation.rows

    def words(row: int) -> tuple[str, str]:
        return rows.answer[row] or "(nothing)", rows.reference[row][0] if rows.reference[row] else ""

    return words


def _examples(scene: Scene, evaluation: SplitEvaluation) -> PageSection:
    """The worst answers and some that nobody chose, each beside its source and its true text."""
    rows, worst = evaluation.rows, list(evaluation.judgement.worst[: EXAMPLES // 2])
    place = {int(i): row for row, i in enumerate(rows.id)}
    others = [row for row in range(len(rows)) if int(rows.id[row]) not in worst]
    typical = others[:: max(1, len(others) // (EXAMPLES // 2))][: EXAMPLES // 2]
    lines = []
    for row in [*(place[i] for i in worst), *typical]:
        pixels = scene.load_image(evaluation.names[row])
        source = bytes(pixels[..., 0].ravel().tolist()).decode(errors="replace") if pixels is not None else ""
        truth = rows.reference[row][0] if rows.reference[row] else ""
        lines.append((source, rows.answer[row], truth, row in typical))
    intro = f"The {len(worst)} answers with the most edits, then {len(typical)} at even distances through the split."
    return PageSection("examples", "Examples", section("texts_section", intro, lines))


def _by_length(evaluation: SplitEvaluation) -> Chart | None:
    """The share of exact answers by the length of the truth."""
    rows = evaluation.rows
    known = [row for row in range(len(rows)) if rows.reference[row]]
    lengths = np.array([len(rows.reference[row][0]) for row in known])
    if len(known) < 2 or lengths.min() == lengths.max():
        return None
    exact = np.array([rows.answer[row] in rows.reference[row] for row in known])
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, MOST_BANDS + 1)).round().astype(int))
    x, share, low, high = [], [], [], []
    for start, end in pairwise(edges.tolist()):
        mine = exact[(lengths >= start) & ((lengths < end) | (end == edges[-1]))]
        if not len(mine):
            continue
        bounds = wilson(float(mine.mean()), len(mine), Z)
        x.append(float(start + end) / 2)
        share.append(float(mine.mean()))
        low.append(float(bounds[0]))
        high.append(float(bounds[1]))
    if len(x) < 2:
        return None
    figures = f"{share[0]:.0%} of the shortest and {share[-1]:.0%} of the longest texts are exact"
    frame = Frame("Exact answers by length", f"{figures}.", "characters of the true text", "exact", None, (0.0, 1.0))
    lines = [Line("exact", x, share, "one"), Line("", x, low, "quiet"), Line("95 % interval", x, high, "quiet")]
    return Chart(line_chart(lines, frame), f"{figures}. Thin lines: 95 % Wilson intervals.")


def _opening(facts: VerdictFacts) -> str:
    value = facts.metric(facts.split, "loss")
    if value is None:
        return "Training finished. The loss was not measured: read what it writes."
    return (
        f"Its loss is {decimal(value)} a token on {facts.n:,} {facts.split} texts: as unsure as among {decimal(exp(value))} "
        "equally likely ones."
    )


LANGUAGE = replace(
    text_chapter(EXACT, images=False), headline=None, result=_no_result, rules=(data.untested,), opening=_opening
)
