"""Verdicts on facts made by hand, by the chapter of the task whose headline they have."""

from __future__ import annotations

from dataclasses import replace

from sightline.kinds.catalogue import KINDS
from sightline.reports.chapter import Chapter
from sightline.reports.finding import VerdictFacts
from sightline.reports.headline import Headline
from sightline.reports.thresholds import Thresholds
from sightline.reports.verdict import Verdict
from sightline.reports.verdict import verdict as verdict_by


def headline_of(kind: str) -> Headline:
    headline = KINDS[kind].chapter.headline
    assert headline is not None
    return headline


def chapter_for(facts: VerdictFacts) -> Chapter:
    """The chapter of the kind of task with this headline."""
    return next(kind.chapter for kind in KINDS.values() if kind.chapter.headline == facts.headline)


def verdict(facts: VerdictFacts, limits: Thresholds | None = None) -> Verdict:
    """With other limits than the chapter's, where they are given."""
    chapter = chapter_for(facts)
    return verdict_by(facts, chapter if limits is None else replace(chapter, limits=limits))
