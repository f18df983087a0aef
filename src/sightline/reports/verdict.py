"""VerdictFacts → the verdict in words: a headline, the limiting factor, and findings in reading order.

A pure function of `VerdictFacts`; its thresholds are in `thresholds.py`. The order: too many unusable files; a run that
did not finish normally; how good the model is; then serious findings, warnings, good news and notes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sightline.reports.rules import course as course_rules
from sightline.reports.rules import data as data_rules
from sightline.reports.rules import learning as learning_rules
from sightline.reports.rules import steps as steps_rules
from sightline.reports.rules.learning import headline_interval, split_word
from sightline.reports.rules.solution import of_solution

from .chapter import Chapter
from .finding import Finding, VerdictFacts
from .thresholds import Thresholds
from .wording import percent, percent_range, plural

_RANK = {"serious": 0, "warning": 1, "good": 2, "note": 3}
_LIMITING = {
    "bias": "bias: it does not fit the training images yet",
    "variance": "variance: it does not fully generalise",
    "data": "the data",
    "noise": "noise",
    "time": "training time",
    "layers": "how its layers train",
}


@dataclass(frozen=True)
class Verdict:
    """`headline` says how good the model is, `limit` what limits it, `advice` what to try next ("" if nothing stands out)."""

    headline: str
    limit: str
    findings: tuple[Finding, ...]
    advice: str = ""

    @property
    def sentences(self) -> tuple[str, ...]:
        """The verdict in at most three."""
        return tuple(filter(None, (self.headline, self.limit, self.advice)))


def verdict(facts: VerdictFacts, chapter: Chapter) -> Verdict:
    """The verdict on a run, from its facts and the rules of its kind of task."""
    limits = chapter.limits
    rules = (data_rules.quarantine, steps_rules.diverged, data_rules.completion, data_rules.leaks)
    opening = [rule(facts, limits) for rule in rules]
    first = [f for f in opening if f is not None and f.severity == "serious"]
    result = chapter.result(facts, limits)
    lost = steps_rules.diverged(facts, limits) is not None
    if lost and result is not None:
        result = replace(result, try_next=())  # nothing but the rate is to blame
        if result.severity == "good":
            result = replace(result, severity="note", title="The weights that were kept are from before it diverged")
    rest = [f for f in opening if f is not None and f.severity != "serious"]
    if not facts.smoke:
        rest += [] if lost else _learned(facts, chapter)
        first += [result] if result is not None else []
    # A cause with a name of its own says more than bias or variance. Stable: rules keep their order otherwise.
    rest.sort(key=lambda f: (_RANK[f.severity], not f.limit))
    findings = of_solution(facts, (*first, *rest))
    return Verdict(_headline(facts, limits, chapter), _limit(findings), findings, _advice(findings))


def _learned(facts: VerdictFacts, chapter: Chapter) -> list[Finding]:
    """Findings of the rules that need a real run, not a rehearsal."""
    limits = chapter.limits
    findings = [f for rule in chapter.rules if (f := rule(facts, limits)) is not None]
    short = steps_rules.too_short(facts, limits)
    if short is not None:  # neither bias nor variance can be told apart yet
        return [short, *(f for f in findings if f.kind not in ("noise", "confidence", "time", "variance"))]
    fits = learning_rules.fit_quality(facts, limits)
    named = {f.title for f in findings}
    vain = set()  # one finding must not suggest what another calls useless
    if course_rules.PLATEAU in named:
        vain.add(steps_rules.LONGER)
    if course_rules.IMPROVING in named:
        vain.add(learning_rules.LARGER)
    if any(f.kind == "noise" and f.severity == "warning" for f in findings):
        fits = [
            f for f in fits if f.title != learning_rules.UNDERFITTING
        ]  # wrong labels cannot be fitted, nor should be
        vain.add(learning_rules.LARGER)
    if course_rules.RISING in named and any(f.title == learning_rules.OVERFITTING for f in fits):
        # The kept weights are of an early validation: it went on to fit the training images, and that was no help.
        fits = [f for f in fits if f.title != learning_rules.UNDERFITTING]
    fits = [replace(f, try_next=tuple(t for t in f.try_next if t.what not in vain)) for f in fits]
    return fits + findings


def _headline(facts: VerdictFacts, limits: Thresholds, chapter: Chapter) -> str:
    value, interval, headline = facts.value, headline_interval(facts, limits), facts.headline
    if facts.smoke:
        return "A rehearsal: every stage ran, but nothing was learned."
    if steps_rules.diverged(facts, limits) is not None:
        return f"Training diverged: {steps_rules.TOO_HIGH}."
    if not headline.metric:
        if chapter.opening is not None and facts.status == "finished":
            return chapter.opening(facts)
        return "Training finished. This kind of task has no metric: look at its results."
    if value is None or (interval is None and headline.of_images):
        name = headline.name
        return f"The {name} has not been measured{' yet' if facts.status != 'finished' else ''}."
    if not headline.of_images:
        images = plural(facts.n, split_word(facts.split) + " image")
        span = f"; with 95 % confidence between {headline.span(*interval).replace('–', ' and ')}" if interval else ""
        return f"It reaches {headline.article} {headline.name} of {headline.figure(value)} on {images}{span}."
    images = f"{facts.n:,} {split_word(facts.split)} images"
    assert interval is not None
    return (
        f"It is right on {percent(value, facts.n)} of {images}; "
        f"with 95 % confidence between {percent_range(*interval, facts.n).replace('–', ' and ')}."
    )


def _limiting(findings: tuple[Finding, ...]) -> Finding | None:
    """The first finding that calls for action, and says what limits the model."""
    causes = [f for f in findings if f.severity in ("serious", "warning") and (f.kind in _LIMITING or f.limit)]
    return causes[0] if causes else None


def _limit(findings: tuple[Finding, ...]) -> str:
    """The limiting factor in one sentence."""
    cause = _limiting(findings)
    if cause is None:
        return ""
    if cause.limit:
        return f"Limited by {cause.limit}."
    kind, title = _LIMITING[cause.kind], cause.title
    why = "" if ":" in kind else f": {title[0].lower()}{title[1:]}"
    return f"Limited by {kind}{why}."


def _advice(findings: tuple[Finding, ...]) -> str:
    """What to try first against it: of the finding behind the limit, else of the first one that knows something."""
    cause = _limiting(findings)
    urgent = [f for f in findings if f.severity == "serious" and f.try_next]
    source = cause if cause is not None and cause.try_next else (urgent[0] if urgent else None)
    if source is None:
        return ""
    first = source.try_next[0].what
    return f"Try next: {first[0].lower()}{first[1:].rstrip('.')}."
