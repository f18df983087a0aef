"""The verdict on a pipeline that was solved: what is said about steps, rates and augmentation does not apply to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sightline.recipes.solving import is_solved
from sightline.reports.finding import Finding, Try, VerdictFacts

_DESCENT = ("optim.", "augment.", "schedule.", "fit.")
_LIMITS = ("bias", "variance")


def was_solved(facts: VerdictFacts) -> bool:
    return is_solved(str(facts.setting("model.name")))


def of_solution(facts: VerdictFacts, findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings without those about time, and without advice on gradient descent; where the fit limits the result, a network
    is the next thing to try."""
    if not was_solved(facts):
        return tuple(findings)
    learned = Try("Compare it with a network that learns its features.", facts.command_with("model.name=resnet20"))
    kept = []
    for finding in findings:
        if finding.kind == "time":
            continue
        tries = [one for one in finding.try_next if not any(key in one.command for key in _DESCENT)]
        if finding.kind in _LIMITS and finding.severity in ("serious", "warning"):
            tries.insert(0, learned)
        kept.append(replace(finding, try_next=tuple(tries)))
    return tuple(kept)
