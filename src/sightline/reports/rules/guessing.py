"""How good is it, beside an answer that is made without looking: for ranked labels and for predicted numbers."""

from __future__ import annotations

from sightline.reports.finding import Finding, VerdictFacts
from sightline.reports.thresholds import Thresholds
from sightline.reports.wording import plural

from .learning import headline_interval, if_nothing_learned, split_word


def result(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """The headline with its interval, and what predicts without looking (`majority`) would reach."""
    value, interval, headline = facts.value, headline_interval(facts, limits), facts.headline
    if value is None:
        return None
    span = f" (95 % interval {headline.span(*interval)})" if interval is not None else ""
    where = plural(facts.n, split_word(facts.split) + " image")
    figures = f"{headline.title} {headline.figure(value)}{span} on {where}: {headline.meaning}."
    if facts.majority is None:
        return Finding("note", "result", f"{headline.title} {headline.figure(value)}", figures)
    name, share = facts.majority
    against = f"{name[:1].upper()}{name[1:]} would reach {headline.figure(share)}."
    if interval is None:
        text = f"{against} These are too few images for an interval that could tell the two apart."
        return Finding("note", "result", f"{headline.title} {headline.figure(value)}", text, figures)
    if interval[0] <= share:
        text = f"{against} It reaches {headline.figure(value)}: no more than chance explains."
        return Finding("serious", "result", "No better than guessing", text, figures, if_nothing_learned(facts, limits))
    return Finding("good", "result", "It has learned", against, figures)
