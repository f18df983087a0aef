"""What only a detector's page shows: kinds of mistakes, objects by size, precision against recall."""

from __future__ import annotations

from typing import Any

from sightline.drawing.bars import interval_strip
from sightline.drawing.curves import Frame, Line, line_chart
from sightline.drawing.swatch import share_bar
from sightline.reports.finding import VerdictFacts
from sightline.reports.judged import JudgedSplit
from sightline.reports.rules.dense import ERRORS
from sightline.reports.rules.learning import split_word
from sightline.reports.wording import counted, percent

from .figures import Chart

_TONES = ("one", "two", "three")
_SIZES = {
    "small": "to 32² px",
    "medium": "to 96² px",
    "large": "larger",
}


def object_values(judged: JudgedSplit, facts: VerdictFacts) -> dict[str, Any] | None:
    """The section on mistakes, sizes and curves; None where nothing was to be found and nothing was."""
    if facts.objects is None:
        return None
    return {
        "intro": _intro(judged, facts),
        "errors": _errors(facts),
        "sizes": _sizes(judged, facts),
        "sizes_note": "AP: the mean over classes and over overlaps (IoU) from 50 to 95 %. AR: the best recall with 100 boxes "
        "an image, averaged likewise. Sizes are areas in the original image.",
        "masks": facts.headline.metric.startswith("mask_"),
        "curve": precision_recall(judged, facts),
    }


def _intro(judged: JudgedSplit, facts: VerdictFacts) -> str:
    objects = facts.objects
    assert objects is not None
    images = counted(judged.judgement.n, split_word(judged.split) + " image")
    there = f"{counted(objects.objects, 'object')} in {images}"
    if objects.threshold is None:
        return f"{there}; no box is on any of them. All boxes are counted."
    return (
        f"{there}. Boxes are counted from a score of {objects.threshold:.2f} on, where finding much and being right are best "
        f"balanced (largest F1 over all classes): {counted(objects.shown, 'box', 'boxes')}, {objects.found:,} of them right "
        "(right class, overlap of at least half)."
    )


def _errors(facts: VerdictFacts) -> list[dict[str, Any]]:
    """A row a kind of mistake, most frequent first."""
    assert facts.objects is not None
    errors, total = facts.objects.errors, sum(facts.objects.errors.values())
    rows = []
    for kind, count in sorted(errors.items(), key=lambda item: -item[1]):
        name, meaning = ERRORS[kind]
        share = count / total if total else 0.0
        title = f"{name}: {count:,} of {counted(total, 'mistake')}"
        bar = share_bar(share, title=title)
        rows.append({"name": name, "count": f"{count:,}", "share": percent(share), "bar": bar, "meaning": meaning})
    return rows


def _sizes(judged: JudgedSplit, facts: VerdictFacts) -> list[dict[str, Any]]:
    """A row a size of objects."""
    masks = facts.headline.metric.startswith("mask_")
    rows = []
    for name, row in judged.judgement.sizes.items():
        value = judged.judgement.metrics.get(f"mask_ap_{name}") if masks else row["ap"]
        title = f"AP of {name} objects {percent(value)}"
        strip = interval_strip(value, value, value, tone="one", title=title) if value is not None else ""
        cells = {"name": name, "meaning": _SIZES[name], "n": f"{row['support'] or 0:,.0f}", "strip": strip}
        rows.append(cells | {"value": percent(value), "ap": percent(row["ap"]), "ar": percent(row["ar"])})
    return rows


def precision_recall(judged: JudgedSplit, facts: VerdictFacts) -> Chart | None:
    """The weakest classes by name, the others thin; by boxes at an overlap of half."""
    curves = [c for c in judged.judgement.curves if len(c.precision_recall.recall)]
    if not curves:
        return None
    ap = {c.index: judged.judgement.per_class[c.index]["ap50"] or 0.0 for c in curves}
    named = sorted(ap, key=lambda index: ap[index])[: len(_TONES)]
    tones = dict(zip(named, _TONES, strict=False))
    lines = [
        Line(
            judged.classes[c.index] if c.index in tones else "",
            c.precision_recall.recall.tolist(),
            c.precision_recall.precision.tolist(),
            tones.get(c.index, "quiet"),
        )
        for c in sorted(curves, key=lambda c: -ap[c.index])  # the weakest are drawn last, above the others
    ]
    others = len(curves) - len(named)
    which = f" Named: the {len(named)} classes of lowest AP50; thin: {counted(others, 'other')}." if others else ""
    said = f"AP50 of boxes {percent(facts.metric(facts.split, 'ap50'))}.{which}"
    unit = ((0.0, 1.0), (0.0, 1.0))
    frame = Frame("Precision and recall", said, "recall", "precision", *unit, square=True, names="lower left")
    caption = f"Precision of boxes against recall as the score threshold falls, at an overlap of half.{which}"
    return Chart(line_chart(lines, frame), caption)
