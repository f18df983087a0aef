"""The section of a run's report: accuracy under the attacks whose results lie in RUN/attacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sightline.reports.chapter import PageSection
from sightline.reports.reading import as_text
from sightline.reports.template import section

from .curve import budget_chart, places


def attack_section(attacks: Sequence[Mapping[str, Any]]) -> PageSection | None:
    """The robustness curve and a line for each attack; None if there are none."""
    if not attacks:
        return None
    charts = [chart for norm in ("linf", "l2") if (chart := budget_chart(attacks, norm)) is not None]
    rows = [_row(facts) for facts in attacks]
    return PageSection("robustness", "Under attack", section("robustness_section", charts, rows))


def _row(facts: Mapping[str, Any]) -> dict[str, str]:
    """Name, clean accuracy, the accuracy with the largest budget, and the verdict in words."""
    points = places(facts)
    name = as_text(facts.get("title")) or as_text(facts.get("method"))
    clean, last = (points[0].words, points[-1].words) if len(points) > 1 else ("", "")
    return {"name": name, "clean": clean, "last": last, "verdict": as_text(facts.get("verdict"))}
