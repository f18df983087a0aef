"""What the report says about edits of attributes: how many are right, and examples."""

from __future__ import annotations

import math

from sightline.reports.chapter import RULES, Chapter, PageSection, Scene
from sightline.reports.finding import Finding, Try, VerdictFacts
from sightline.reports.parts.examples import example_values
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.reports.template import section
from sightline.reports.thresholds import Thresholds
from sightline.reports.wording import decimal, percent

METRICS = {
    "edited": "edits with every attribute right",
    "changed": "edits whose attribute changed",
    "kept": "other attributes kept",
    "psnr": "PSNR of the reconstruction (dB)",
}
GOOD = 0.95  # of the attributes changed, and of the others kept
_BY = "in the eyes of the run's own classifier, which learned from real images"


def result(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """Do edits change their attribute and no other one?"""
    changed, kept = (facts.metric(facts.split, name) for name in ("changed", "kept"))
    if changed is None or kept is None:
        return None
    evidence = f"{percent(changed)} of the edits change their attribute and {percent(kept)} of the others stay, {_BY}."
    if min(changed, kept) >= GOOD:
        return Finding("good", "result", "Edits change their attribute and no other", "", evidence)
    if changed < GOOD:
        text = "Many edits leave the attribute as it was."
        heavier = 2 * (facts.number("task.attribute") or 10.0)
        tries = (Try("Give the attribute more weight.", facts.command_with(f"task.attribute={heavier:g}")),)
        return Finding("warning", "result", "Edits miss their attribute", text, evidence, tries, limit="missed edits")
    text = "Edits change more than their attribute."
    heavier = 2 * (facts.number("task.reconstruction") or 100.0)
    tries = (Try("Give the reconstruction more weight.", facts.command_with(f"task.reconstruction={heavier:g}")),)
    return Finding("warning", "result", "Edits change other attributes", text, evidence, tries, limit="side effects")


def opening(facts: VerdictFacts) -> str:
    """The first sentence of the verdict."""
    edited, psnr = (facts.metric(facts.split, name) for name in ("edited", "psnr"))
    if edited is None:
        return "Training finished. No image with known attributes was left to measure its edits on."
    close = f"; the reconstruction has {decimal(psnr)} dB" if psnr is not None else ""
    return f"{percent(edited)} of the edits of {facts.n:,} {facts.split} images have every attribute right{close}."


def _notes(evaluation: SplitEvaluation) -> dict[int, str]:
    """id → share of right edits."""
    pairs = zip(evaluation.rows.id.tolist(), evaluation.rows.column("edited").tolist(), strict=True)
    return {i: f"{percent(value)} of the edits right" for i, value in pairs if math.isfinite(value)}


def _sections(scene: Scene) -> list[PageSection]:
    intro = "the image, as the network gets it, its reconstruction, and each attribute taken away (-) or given (+)"
    if (examples := example_values(scene, _notes, intro)) is None:
        return []
    return [PageSection("examples", "Examples", section("examples_section", examples, [], []))]


ATTRIBUTES = Chapter(
    metric_names=METRICS,
    result=result,
    rules=RULES,
    opening=opening,
    sections=_sections,
    examples=True,
    in_per_cent=lambda name: name in ("edited", "changed", "kept"),
)
