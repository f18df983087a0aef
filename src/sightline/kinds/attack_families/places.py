"""Attacks with a budget on answers that have places: the classes of pixels, and objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sightline.attacks.aim import Aim
from sightline.attacks.balls import ball_named
from sightline.attacks.figure import Figure
from sightline.attacks.methods import METHODS, Method, Plan
from sightline.attacks.scores import Counted
from sightline.attacks.verdict import budget_text
from sightline.errors import UsageError
from sightline.reports.attacks.curve import budget_chart
from sightline.reports.attacks.page import AttackPage, PageTable, render_attack
from sightline.reports.attacks.sheet import Pair, sheet, views
from sightline.reports.wording import percent, percent_range
from sightline.structures.batch import Batch

from .budget import planned
from .measured import Measured, joined, stacked
from .pictures import saved
from .request import Outcome, Over, Request

EXAMPLES = 6


@dataclass
class _Course:
    """What is known after each budget: the rows of all images, and what the attack had increased before and after its
    result was rounded."""

    eps: float
    rows: list[Any] = field(default_factory=list)
    before: list[Tensor] = field(default_factory=list)
    after: list[Tensor] = field(default_factory=list)


def within_places(subject: Measured, request: Request, folder: Path, over: Over) -> Outcome:
    """FGSM, PGD and Auto-PGD against all pixels or objects, those of a class, or one object."""
    method, plan, budgets = planned(request)
    if not method.gradients:
        able = ", ".join(name for name, one in METHODS.items() if one.gradients)
        raise UsageError(
            f"{method.name} needs the scores of classes, which {subject.kind.name} does not have", f"use {able}"
        )
    aim, counter = request.aim, Counted(lambda pixels: pixels)
    courses = [_Course(eps) for eps in (0.0, *budgets)]
    pairs: list[Pair] = []
    for batch in over(subject.batches):
        focussed = subject.exposure.focus(subject.task, batch, aim)
        images = _attacked(subject, focussed, method, plan, courses, aim, folder, counter)
        if len(pairs) < EXAMPLES:
            pairs += subject.compared(focussed, images, aim)
    figures = [(course.eps, subject.counted(joined(course.rows), aim)) for course in courses]
    whole = aim == Aim()
    headlines = [subject.headline(joined(course.rows)) for course in courses] if whole else []
    words = _verdict(figures, headlines, plan.norm, aim)
    name = figures[0][1].name
    facts: dict[str, Any] = {
        "method": method.name, "title": method.title, "source": method.source, "norm": plan.norm, "steps": plan.steps,
        "seed": plan.seed, "n": len(subject), "metric": name, "verdict": words, "forwards": counter.forwards,
        "backwards": counter.backwards, "target": _named(subject, aim.target), "region": _named(subject, aim.region),
        "object": aim.object,
        "curve": [
            {"eps": course.eps, **figure.to_json(), "loss": _mean(course.after), "loss_before_rounding": _mean(course.before),
             **({"headline": headlines[i].to_json()} if whole else {})}
            for i, (course, (_, figure)) in enumerate(zip(courses, figures, strict=True))
        ],
    }  # fmt: skip
    return Outcome(facts, _page(subject, method, plan, aim, facts, figures, headlines, pairs), sheet(pairs))


def _attacked(
    subject: Measured, batch: Batch, method: Method, plan: Plan, courses: list[_Course], aim: Aim, folder: Path,
    counter: Counted,
) -> Tensor:  # fmt: skip
    """Attack a batch with every budget in ascending order; returns the images with the largest.

    An image whose loss is higher with a smaller budget keeps that result, which is within the larger budget as well.
    """
    harm = subject.exposure.harm(subject.task, batch, aim)
    counted = Counted(harm)
    x = batch.image.float()
    with torch.no_grad():
        least = counted(x)
    courses[0].rows.append(subject.answered(batch)[0])
    courses[0].before.append(least)
    courses[0].after.append(least)
    best = batch.image
    ball = ball_named(plan.norm)
    for course in courses[1:]:
        moved = method.attack(counted, x, batch.id, batch.id, replace(plan, eps=course.eps, value=lambda harms: harms))
        whole = ball.rounded(moved, x, course.eps)
        image = stacked([saved(folder / f"{int(i):06d}.png", one) for i, one in zip(batch.id, whole, strict=True)])
        with torch.no_grad():
            before, after = counted(moved), counted(image.float())
        better = after >= least
        best = torch.where(better[:, None, None, None], image, best)
        least = torch.where(better, after, least)
        for i in (~better).nonzero()[:, 0].tolist():
            saved(folder / f"{int(batch.id[i]):06d}.png", best[i])
        course.rows.append(subject.answered(batch.with_pixels(image=best))[0])
        course.before.append(before)
        course.after.append(least)
    counter.forwards += counted.forwards
    counter.backwards += counted.backwards
    return best


def _mean(parts: list[Tensor]) -> float:
    return float(torch.cat(parts).mean())


def _named(subject: Measured, index: int | None) -> str | None:
    return None if index is None else subject.classes[index]


def _span(figure: Figure) -> str:
    return f" ({percent_range(*figure.interval)})" if figure.interval is not None else ""


def _verdict(figures: list[tuple[float, Figure]], headlines: list[Figure], norm: str, aim: Aim) -> str:
    (_, clean), (eps, last) = figures[0], figures[-1]
    unit = last.name.split()[0]
    if aim.target is not None:
        share = f"{percent(last.value)}{_span(last)} of {last.n:,} {unit} are{last.name.removeprefix(unit)}"
        return f"{share} with {budget_text(eps, norm)}; without an attack, {percent(clean.value)}."
    name = last.name.capitalize()
    words = f"{name}: from {percent(clean.value)} to {percent(last.value)}{_span(last)} with "
    words += f"{budget_text(eps, norm)}, of {last.n:,} {unit}."
    if headlines:
        name = headlines[0].name
        words += f" {name[:1].upper()}{name[1:]}: from {percent(headlines[0].value)} to {percent(headlines[-1].value)}."
    return words


def _page(
    subject: Measured, method: Method, plan: Plan, aim: Aim, facts: dict[str, Any], figures: list[tuple[float, Figure]],
    headlines: list[Figure], pairs: list[Pair],
) -> Callable[[str, str], str]:  # fmt: skip
    (eps, last), norm = figures[-1], plan.norm
    scope = [
        f"only {value}" for value in (facts["region"], None if aim.object is None else f"object {aim.object}") if value
    ]
    chips = [f"{len(subject):,} images", {"linf": "maximum norm", "l2": "Euclidean norm"}[norm]]
    heads = ("budget", last.name, "95 % interval") + ((headlines[0].name,) if headlines else ())
    rows = [
        ("none" if not e else budget_text(e, norm), percent(one.value), _span(one).strip(" ()") or "–")
        + ((percent(headlines[i].value),) if headlines else ())
        for i, (e, one) in enumerate(figures)
    ]
    note = (
        "Measured on the files that were saved and read back. Intervals come from resampling images. An image whose loss is "
        "higher with a smaller budget keeps that result."
    )
    charts = [budget_chart([{**facts, "target": None}], norm)]

    def page(name: str, command: str) -> str:
        return render_attack(
            AttackPage(
                title=method.title, source=method.source, name=name, verdict=str(facts["verdict"]), command=command,
                chips=[*chips, *scope, *([f"{plan.steps:,} {method.unit}"] if plan.steps > 1 else [])],
                number=percent(last.value), under=f"{last.name} with {budget_text(eps, norm)}, of {last.n:,}{_span(last)}",
                charts=[chart for chart in charts if chart is not None],
                curves_title=f"{last.name.capitalize()} over the budget", examples=views(pairs),
                examples_intro="From left to right: the answer on the image, the answer on the image that was saved, and "
                "the difference of the two images enlarged around grey.",
                tables=[PageTable(f"{last.name.capitalize()} by budget", heads, rows, note)],
                facts=[("images forwards through the network", f"{facts['forwards']:,}"),
                       ("images backwards", f"{facts['backwards']:,}"), ("seed", str(plan.seed))],
            )
        )  # fmt: skip

    return page
