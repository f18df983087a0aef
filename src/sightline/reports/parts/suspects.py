"""The files behind "some labels may be wrong": which to look at, and why."""

from __future__ import annotations

from dataclasses import dataclass

from sightline.evaluation.judgement import Judgement
from sightline.reports.content import CONFLICT, RunContent
from sightline.reports.thresholds import Thresholds
from sightline.reports.wording import percent

SHOWN, MOST = 5, 50  # files in the finding itself; all that are listed


@dataclass(frozen=True)
class Suspect:
    """A file whose label may be wrong, and what speaks against it."""

    file: str
    why: str


def suspects(content: RunContent, limits: Thresholds) -> list[Suspect]:
    """Identical images with different labels, then confident mistakes, the most confident first."""
    return [*_conflicts(content), *_confident_mistakes(content, limits)][:MOST]


def _conflicts(content: RunContent) -> list[Suspect]:
    problems = content.data.problems if content.data is not None else ()
    return [
        Suspect(p.file, p.reason.removeprefix(CONFLICT).lstrip(": ")) for p in problems if p.reason.startswith(CONFLICT)
    ]


def _confident_mistakes(content: RunContent, limits: Thresholds) -> list[Suspect]:
    evaluation = content.evaluation
    if evaluation is None or not isinstance(evaluation.judgement, Judgement):
        return []
    row_of = {int(i): row for row, i in enumerate(evaluation.rows.id)}
    found = []
    for mistake in evaluation.judgement.mistakes:
        row = row_of[mistake.id]
        probability = float(evaluation.rows.probability[row, mistake.predicted])
        if probability >= limits.confident:
            target, predicted = (evaluation.classes[c] for c in (mistake.target, mistake.predicted))
            why = f"labelled {target}, predicted {predicted} with a probability of {percent(probability, 100)}"
            found.append(Suspect(evaluation.names[row], why))
    return found
