"""What only a detector's page shows: kinds of mistakes, objects by size, precision against recall."""

from __future__ import annotations

from typing import Any

from sightline.drawing.bars import interval_strip
from sightline.drawing.curves import Frame, Line, line_chart
from sightline.drawing.swatch import share_bar
from sightline.reports.finding import VerdictFacts
from sightline.reports.rules.dense import ERRORS
from sightline.reports.rules.learning import split_word
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.reports.wording import percent, plural, worst_and_others

from .figures import Chart

_TONES = ("one", "two", "three")
_SIZES = {
    "small": "up to 32² px",
    "medium": "up to 96² px",
    "large": "larger",
    "crowded": "overlap another object, IoU from 10 %",
    "apart": "overlap none by as much",
}


def object_values(evaluation: SplitEvaluation, facts: VerdictFacts) -> dict[str, Any] | None:
    """The section on mistakes, sizes and curves; None without facts about objects."""
    if facts.objects is None:
        return None
    return {
        "intro": _intro(evaluation, facts),
        "errors": _errors(facts),
        "errors_note": "Gain: what AP50 would rise by if all mistakes of this kind were fixed and no others (TIDE, "
        "arXiv:2008.08115), over boxes of any score. Gains do not add up.",
        "sizes": _sizes(evaluation, facts),
        "sizes_note": "AP: the mean over classes and over IoU thresholds from 50 to 95 %. AR: the recall with at most 100 "
        "boxes per image, averaged likewise. Sizes are areas in the original image; crowded and apart are measured by boxes.",
        "masks": facts.headline.metric.startswith("mask_"),
        "curve": precision_recall(evaluation, facts),
    }


def _intro(evaluation: SplitEvaluation, facts: VerdictFacts) -> str:
    objects = facts.objects
    assert objects is not None
    images = plural(evaluation.judgement.n, split_word(evaluation.split) + " image")
    there = f"{plural(objects.objects, 'object')} in {images}"
    if objects.threshold is None:
        return f"{there}; none of them is matched by a box. All boxes are counted."
    return (
        f"{there}. Only boxes with a score of at least {objects.threshold:.2f} count, the threshold with the best F1 over "
        f"all classes: {plural(objects.boxes, 'box', 'boxes')}, {objects.correct:,} of them correct (right class, IoU of at "
        "least 50 %)."
    )


def _errors(facts: VerdictFacts) -> list[dict[str, Any]]:
    """One row per kind of mistake, most frequent first."""
    assert facts.objects is not None
    errors, total = facts.objects.errors, sum(facts.objects.errors.values())
    rows = []
    for kind, count in sorted(errors.items(), key=lambda item: -item[1]):
        name, meaning = ERRORS[kind]
        share = count / total if total else 0.0
        title = f"{name}: {count:,} of {plural(total, 'mistake')}"
        bar = share_bar(share, title=title)
        cells = {"name": name, "count": f"{count:,}", "share": percent(share), "bar": bar, "meaning": meaning}
        rows.append(cells | {"gain": points(facts.objects.gains.get(kind))})
    return rows


def points(gain: float | None) -> str:
    """In points of per cent, with a sign."""
    return "–" if gain is None else f"{100 * gain:+.1f}"


def _sizes(evaluation: SplitEvaluation, facts: VerdictFacts) -> list[dict[str, Any]]:
    """One row per object size, and for crowded objects and those apart."""
    masks = facts.headline.metric.startswith("mask_")
    rows = []
    judgement = evaluation.judgement
    for name, row in (judgement.sizes | judgement.crowding).items():
        value = judgement.metrics.get(f"mask_ap_{name}") if masks else row["ap"]
        title = f"AP of {name} objects {percent(value)}"
        strip = interval_strip(value, value, value, tone="one", title=title) if value is not None else ""
        cells = {"name": name, "meaning": _SIZES[name], "n": f"{row['support'] or 0:,.0f}", "strip": strip}
        rows.append(cells | {"value": percent(value), "ap": percent(row["ap"]), "ar": percent(row["ar"])})
    return rows


def precision_recall(evaluation: SplitEvaluation, facts: VerdictFacts) -> Chart | None:
    """The weakest classes by name, the others thin; of boxes at an IoU of 50 %."""
    curves = [c for c in evaluation.judgement.curves if len(c.precision_recall.recall)]
    if not curves:
        return None
    ap = {c.index: evaluation.judgement.per_class[c.index]["ap50"] or 0.0 for c in curves}
    named = sorted(ap, key=lambda index: ap[index])[: len(_TONES)]
    tones = dict(zip(named, _TONES, strict=False))
    lines = [
        Line(
            evaluation.classes[c.index] if c.index in tones else "",
            c.precision_recall.recall.tolist(),
            c.precision_recall.precision.tolist(),
            tones.get(c.index, "quiet"),
        )
        for c in sorted(curves, key=lambda c: -ap[c.index])  # the weakest are drawn last, above the others
    ]
    others = len(curves) - len(named)
    which = f" {worst_and_others(len(named), others, 'AP50')}" if others else ""
    description = f"AP50 of boxes {percent(facts.metric(facts.split, 'ap50'))}.{which}"
    unit = ((0.0, 1.0), (0.0, 1.0))
    frame = Frame("Precision and recall", description, "recall", "precision", *unit, square=True, names="lower left")
    caption = f"Precision of boxes against recall as the score threshold falls, at an IoU of 50 %.{which}"
    return Chart(line_chart(lines, frame), caption)
