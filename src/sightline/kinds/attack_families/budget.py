"""The attacks with a budget, and the one with a single pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from sightline.attacks.diagnosis import Diagnosis, diagnose
from sightline.attacks.methods import LENGTHS, LEVELS, Plan, method_named
from sightline.attacks.robustness import Robustness, robustness
from sightline.attacks.subject import Subject
from sightline.attacks.verdict import budget_text, verdict
from sightline.errors import UsageError
from sightline.reports.attacks.curve import budget_chart
from sightline.reports.attacks.page import AttackPage, PageTable, render_attack
from sightline.reports.attacks.sheet import Pair, sheet, views
from sightline.reports.wording import percent, percent_range

from .pictures import saved
from .request import Outcome, Over, Request

EXAMPLES = 12
MOST_LEVELS = 255.0


def within_budget(subject: Subject, request: Request, folder: Path, over: Over) -> Outcome:
    """The attacks with a budget, and the one with a single pixel."""
    method, plan, budgets = planned(request)
    plan = replace(plan, quick=subject.quick)
    keep = _keeper(subject, folder)
    result = robustness(
        subject.scores, subject.images, subject.labels, subject.ids, method, plan,
        budgets=budgets, target=request.target, batch=subject.batch, keep=keep, progress=lambda parts, total: iter(over(parts)),
    )  # fmt: skip
    diagnosis = _diagnosis(subject, result) if method.budgets else None
    target = None if request.target is None else subject.classes[request.target]
    words = verdict(result, diagnosis, target)
    facts = result.to_json() | {
        "title": method.title,
        "target": target,
        "labels": "the network's own predictions" if subject.own else "given",
        "diagnosis": diagnosis.to_json() if diagnosis is not None else None,
        "verdict": words,
    }
    pairs = _pairs(subject, result)
    last = result.points[-1]

    def page(name: str, command: str) -> str:
        return render_attack(
            AttackPage(
                title=method.title,
                source=method.source,
                name=name,
                chips=_chips(subject, result),
                verdict=words,
                number=percent(last.saved.accuracy, last.saved.n),
                under=f"of {last.saved.n:,} images are right with {budget_text(last.eps, plan.norm)}; "
                f"95 % interval {percent_range(*last.saved.interval, last.saved.n)}",
                command=command,
                charts=[chart for chart in [budget_chart([facts], str(facts["norm"]))] if chart is not None],
                examples=views(pairs),
                tables=[_budget_table(result), *_diagnosis_tables(diagnosis)],
                facts=_cost(result),
            )
        )

    return Outcome(facts, page, sheet(pairs) if pairs else None)


def planned(request: Request) -> tuple[Any, Plan, tuple[float, ...]]:
    """The method, its plan, and the budgets."""
    method = method_named(request.method)
    norm = request.norm or "linf"
    if norm not in method.norms:
        raise UsageError(f"{method.name} has no norm {norm!r}", f"use --norm {' or '.join(method.norms)}")
    if not method.budgets and request.eps is not None:
        raise UsageError(f"--eps has no effect on {method.name}: its budget is one pixel", "leave it out")
    budgets = request.eps or (LEVELS if norm == "linf" else LENGTHS)
    if norm == "linf" and method.budgets:
        if odd := [e for e in budgets if e != int(e)]:
            fix = f"{odd[0]} of 1 is --eps {max(1, round(odd[0] * 255))}" if odd[0] < 1 else "use whole levels"
            raise UsageError(f"--eps {odd[0]:g} is no whole number of levels, and images are saved in levels", fix)
        if budgets[-1] > MOST_LEVELS:
            raise UsageError(
                f"--eps {budgets[-1]:g} is beyond the 255 levels that there are", "use for example --eps 8"
            )
    return method, Plan(budgets[-1], request.steps or method.steps, norm, request.seed), tuple(budgets)


def _keeper(subject: Subject, folder: Path) -> Callable[[int, Tensor], Tensor]:
    """Images lie in the folder under their ids."""
    return lambda row, image: saved(folder / f"{int(subject.ids[row]):06d}.png", image)


def _diagnosis(subject: Subject, result: Robustness) -> Diagnosis | None:
    """With the budget that breaks most, or 8 levels where the attack has another norm."""
    eps = result.plan.eps if result.plan.norm == "linf" else 8.0
    return diagnose(
        subject.scores, subject.images.float(), subject.labels, eps=eps, ids=subject.ids, seed=result.plan.seed,
        batch=subject.batch,
    )  # fmt: skip


def _pairs(subject: Subject, result: Robustness) -> list[Pair]:
    """Examples: broken images first, those with the smallest budgets before others, then images that withstood."""
    order = sorted(range(len(subject)), key=lambda row: _rank(int(result.broken_at[row])))
    rows = [row for row in order if int(result.broken_at[row]) != 0][:EXAMPLES]
    broken = [row for row in rows if int(result.broken_at[row]) > 0]
    rows = broken[: EXAMPLES - 2] + [row for row in order if int(result.broken_at[row]) < 0][:2]

    def words(answers: Any, row: int) -> str:
        return f"{subject.classes[int(answers.index[row])]} ({percent(float(answers.probability[row]), 10)})"

    def picture(images: Tensor, row: int) -> Any:
        return images[row].permute(1, 2, 0).cpu().numpy()  # (c, h, w) → (h, w, c)

    return [
        Pair(
            picture(subject.images, row), picture(result.attacked, row), words(result.clean, row), words(result.final, row),
            _budget_of(result, row) + subject.names[row],
        )
        for row in rows
    ]  # fmt: skip


def _rank(broken_at: int) -> int:
    return broken_at if broken_at > 0 else (1 << 20) - broken_at


def _budget_of(result: Robustness, row: int) -> str:
    number = int(result.broken_at[row])
    eps = result.points[number if number > 0 else -1].eps
    return f"{budget_text(eps, result.plan.norm)} · "


def _chips(subject: Subject, result: Robustness) -> list[str]:
    own = ["labels: the network's own predictions"] if subject.own else []
    norm = [{"linf": "maximum norm", "l2": "Euclidean norm"}[result.plan.norm]] if result.method.budgets else []
    steps = f"{result.plan.steps:,} {result.method.unit}"
    return [f"{len(subject):,} images", *own, *norm, *([steps] if result.plan.steps > 1 else [])]


def _budget_table(result: Robustness) -> PageTable:
    rows = [
        (
            "none" if not point.eps and number == 0 else budget_text(point.eps, result.plan.norm),
            f"{share.right:,} of {share.n:,}", percent(share.accuracy, share.n), percent_range(*share.interval, share.n),
            percent(point.unrounded.accuracy, share.n),
        )
        for number, point in enumerate(result.points)
        for share in [point.saved]
    ]  # fmt: skip
    note = (
        "Accuracy is measured on the files that were saved and read back; the last column is the accuracy before pixels were "
        "rounded to whole levels. Images that are wrong without an attack are never counted as successes."
    )
    return PageTable(
        "Accuracy by budget", ("budget", "right", "accuracy", "95 % interval", "before rounding"), rows, note
    )


def _diagnosis_tables(diagnosis: Diagnosis | None) -> list[PageTable]:
    if diagnosis is None:
        return []
    rows = [
        ("images without any gradient", percent(diagnosis.zero_gradients, diagnosis.n)),
        ("right after PGD, same budget", percent(diagnosis.left_by_gradients, diagnosis.n)),
        ("right after random search, same budget", percent(diagnosis.left_by_search, diagnosis.n)),
        ("right after PGD with 255 levels", percent(diagnosis.left_unbounded, diagnosis.n)),
    ]
    signs = ", ".join(diagnosis.signs) or "none"
    note = f"Of {diagnosis.n} images that are right before. Signs of hidden gradients: {signs}."
    return [PageTable("Are the gradients to be trusted?", ("check", "share"), rows, note)]


def _cost(result: Robustness) -> list[tuple[str, str]]:
    return [
        ("images forwards through the network", f"{result.forwards:,}"),
        ("images backwards", f"{result.backwards:,}"),
        ("seed", str(result.plan.seed)),
    ]
