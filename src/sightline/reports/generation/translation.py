"""What the report says about translated images: input, true partner and translation, and messages hidden in cycles."""

from __future__ import annotations

import math

from sightline.reports.chapter import RULES, Chapter, PageSection, Scene
from sightline.reports.finding import Finding, Try, VerdictFacts
from sightline.reports.parts.examples import example_values
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.reports.template import section
from sightline.reports.thresholds import Thresholds
from sightline.reports.wording import decimal

METRICS = {
    "psnr": "PSNR to the true partner (dB)",
    "ssim": "SSIM to the true partner",
    "l1": "mean difference from the true partner (levels)",
    "cycle_l1": "mean difference there and back (levels)",
    "rounded_cycle_l1": "the same, with the middle rounded to levels",
}
HIDDEN = "Translations carry a hidden message"
_WORSE, _LEVELS = 1.5, 1.0  # rounding the middle makes the way back so many times, and so many levels, worse


def hidden_message(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """An image that returns from its translation only as long as this is not rounded: what it needs to return is not visible
    in the translation but hidden in differences below a level (Chu, Zhmoginov & Sandler 2017, arXiv:1712.02950)."""
    exact, rounded = (facts.metric(facts.split, name) for name in ("cycle_l1", "rounded_cycle_l1"))
    if exact is None or rounded is None or rounded < _WORSE * exact or rounded - exact < _LEVELS:
        return None
    text = (
        f"There and back, an image is off by {decimal(exact)} levels, but by {decimal(rounded)} once the translation is "
        "rounded to whole levels: what it needs to return is hidden below what the eye, or a file, can hold."
    )
    tries = (Try("Lower the weight of the cycle, so that less has to be hidden.", facts.command_with("task.cycle=5")),)
    return Finding("warning", "result", HIDDEN, text, try_next=tries, limit="a message hidden in the translations")


def _notes(evaluation: SplitEvaluation) -> dict[int, str]:
    """id → PSNR to the partner, where there is one."""
    rows = evaluation.rows
    figures = zip(rows.id.tolist(), rows.column("psnr").tolist(), strict=True)
    return {i: f"{value:.1f} dB" for i, value in figures if math.isfinite(value)}


def _sections(scene: Scene) -> list[PageSection]:
    intro = "the image, its true partner (grey: it has none), and what the network made of it"
    if (examples := example_values(scene, _notes, intro)) is None:
        return []
    return [PageSection("examples", "Examples", section("examples_section", examples, [], []))]


TRANSLATIONS = Chapter(metric_names=METRICS, rules=(*RULES, hidden_message), sections=_sections, examples=True)
