"""Rules about groups of images: slices on which the model fails, splits whose images differ, classes with too few images."""

from __future__ import annotations

from sightline.evaluation.diagnosis.conditions import CLASS, CLUSTER
from sightline.reports.finding import Finding, Severity, Try, VerdictFacts, chance
from sightline.reports.thresholds import Thresholds
from sightline.reports.wording import decimal, join_words, percent, plural, points

from .learning import only_guesses, split_word

SLICES = "It fails on some kinds of images"
SMALL = "There are too few training images"


def slices(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """The confirmed slices that are far enough below the rest to matter."""
    diagnosis = facts.diagnosis
    if diagnosis is None or only_guesses(facts, limits):
        return None
    gap = limits.slice if diagnosis.share else 0.0
    # Classes have a finding of their own, and a group of similar images names no cause.
    worst = [s for s in diagnosis.slices if s.rest - s.value > gap and not {*s.columns} <= {CLASS, CLUSTER}]
    if not worst:
        return None
    first = worst[0]
    figure = (lambda v: percent(v, first.confirmed)) if diagnosis.share else (lambda v: decimal(abs(v)))
    more = f" {plural(len(worst) - 1, 'more slice')} below." if len(worst) > 1 else ""
    text = (
        f"{first.words[:1].upper()}{first.words[1:]}: {diagnosis.score} {figure(first.value)} against "
        f"{figure(first.rest)} on the "
        f"rest, n = {first.n:,}.{more}"
    )
    tries = (Try(f"Collect or augment training images like these: {join_words([s.words for s in worst[:2]])}."),)
    severity: Severity = "warning" if first.n >= limits.slice_share * max(diagnosis.n, 1) else "note"
    return Finding(severity, "data", SLICES, text, try_next=tries, limit=f"images of one kind: {first.words}")


def small_data(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """A network that fits its training images, not others, and has few images of a class."""
    train, val = facts.main("train"), facts.value
    counts = [n for n in facts.train_counts.values() if n > 0]
    if train is None or val is None or not counts or not facts.headline.of_images:
        return None
    per_class = sum(counts) / len(counts)
    n = facts.sizes.get("train", 0)
    if per_class >= limits.small or train < limits.train_poor or not n:
        return None
    if train - val <= max(limits.gap, chance(train, n, val, facts.n, limits.z)):
        return None
    worse = f"{points(train - val)} worse on {split_word(facts.split)} images"
    text = (
        f"It has {plural(round(per_class), 'training image')} a class on average, fits them, and does {worse}: "
        "from so few images it cannot separate what defines a class from incidental details."
    )
    tries = (
        Try("Label more images: ten times as many help more than any setting."),
        Try("Or start from published weights; this command lists them.", "sightline models"),
    )
    return Finding("serious", "variance", SMALL, text, try_next=tries, limit="too few training images")
