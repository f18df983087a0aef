"""RunContent → charts and images: which numbers are drawn, with which captions. `drawing` knows how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from sightline.drawing.bars import Point, Row, headline_strip, interval_rows
from sightline.drawing.curves import Frame, Line, line_chart
from sightline.drawing.matrix import Folded, confusion_table, fold
from sightline.drawing.png import fitted, png_bytes
from sightline.evaluation.intervals import wilson
from sightline.evaluation.judgement import Judgement
from sightline.reports.chapter import ImageLookup
from sightline.reports.content import RunContent
from sightline.reports.finding import VerdictFacts
from sightline.reports.headline import Headline
from sightline.reports.rules.learning import headline_interval, split_word
from sightline.reports.samples import HeatMap
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.reports.thresholds import Thresholds
from sightline.reports.wording import decimal, percent, plural, quote, worst_and_others

from .picture import KILOBYTE, MapPicture, map_picture, page_picture

MOST_MISTAKES = 24
LARGEST, LIMIT = 400, 80 * KILOBYTE  # pixels and bytes of the image of a mistake
WORST_CURVES = 3
TINY = 64  # pixels: images up to this size are shown with visible pixels
_TONES = ("one", "two", "three")


@dataclass(frozen=True)
class Chart:
    """A drawing and the sentence under it."""

    drawing: Markup
    caption: str


@dataclass(frozen=True)
class MistakeView:
    """A mistake as the page shows it: `image` is a data URI, "" if the image is unavailable."""

    image: str
    width: int
    height: int
    tiny: bool
    name: str
    target: str
    predicted: str
    predicted_probability: str
    target_probability: str
    map: MapPicture | None = None


def headline_chart(facts: VerdictFacts, limits: Thresholds) -> Markup | None:
    """The headline on a scale from 0 to 1, beside guessing and training."""
    value, interval, headline = facts.value, headline_interval(facts, limits), facts.headline
    if value is None or facts.smoke:
        return None
    low, high = interval or (value, value)
    others = []
    if facts.majority is not None:
        others.append(Point(facts.majority[1], f"{headline.blind} {headline.figure(facts.majority[1], facts.n)}"))
    train = facts.main("train")
    if train is not None:
        others.append(Point(train, f"training {headline.figure(train, facts.sizes.get('train'))}"))
    span = f", 95 % interval {headline.span(low, high, facts.n)}" if interval is not None else ""
    title = f"{headline.title} {headline.figure(value, facts.n)}{span}"
    return headline_strip(value, low, high, others=others, title=title)


def split_chart(facts: VerdictFacts, limits: Thresholds) -> Chart | None:
    """The headline of each split with its interval, on one axis: what is left to learn, what does not generalise."""
    rows = []
    headline = facts.headline
    for split in ("train", "val", "test"):
        value, n = facts.main(split), facts.sizes.get(split, 0)
        if value is None or not n:
            continue
        own = facts.interval if split == facts.split else None
        low, high = own or (wilson(value, n, limits.z) if headline.of_images else (value, value))
        rows.append(Row(split_word(split), value, low, high, headline.figure(value, n)))
    if len(rows) < 2 or facts.smoke:
        return None
    description = "; ".join(f"{row.name} {row.note}" for row in rows)
    intervals = "95 % intervals" if headline.of_images else f"the 95 % interval of {split_word(facts.split)}"
    caption = (
        f"{headline.title} with {intervals}. The gap from 100 % to training shows bias, from training to validation "
        "variance, from validation to test a shift in the data or an optimistic selection."
    )
    return Chart(interval_rows(rows, title=f"{headline.title} by split", description=f"{description}."), caption)


def learning_curves(content: RunContent, headline: Headline) -> list[Chart]:
    """Loss and headline over the epochs, and the learning rate where it changed."""
    metric, name = headline.metric, headline.name
    charts = [
        _curve(content, "loss", {"train_loss": "training", "val_loss": "validation"}),
        _curve(content, name, {f"train_{metric}": "training", f"val_{metric}": "validation"}),
        _curve(content, "learning rate", {"lr": ""}),
    ]
    return [chart for chart in charts if chart is not None]


def _curve(content: RunContent, what: str, columns: dict[str, str]) -> Chart | None:
    rows = content.history
    clock = "epoch" if rows and all(row.get("epoch") is not None for row in rows) else "step"
    x = [row.get(clock) for row in rows]
    lines = []
    rate = what == "learning rate"
    for tone, (column, name) in zip(("plain",) if rate else ("two", "one"), columns.items(), strict=True):
        y = [np.nan if (v := row.get(column)) is None else v for row in rows]
        if np.isfinite(y).any():
            lines.append(Line(name, [np.nan if v is None else v for v in x], y, tone=tone))
    if not lines or (rate and len(set(lines[0].y)) == 1):
        return None
    values = np.concatenate([np.asarray(line.y, float) for line in lines])
    values = values[np.isfinite(values)]
    log = what == "loss" and values.min() > 0 and values.max() / values.min() > 30
    title = f"{what[0].upper()}{what[1:]} by {clock}"
    frame = Frame(title, _summary(lines, clock), clock, f"{what}{' (log)' if log else ''}", log_y=log)
    return Chart(line_chart(lines, frame), _caption(what, log, [line.name for line in lines]))


def _summary(lines: Sequence[Line], clock: str) -> str:
    """The curves in words, for screen readers."""
    parts = []
    for line in lines:
        known = [v for v in line.y if np.isfinite(v)]
        parts.append(f"{line.name or 'value'}: from {decimal(known[0])} to {decimal(known[-1])}")
    return f"{'; '.join(parts)}, over {plural(len(lines[0].x), 'validation')}, by {clock}."


def _caption(what: str, log: bool, names: Sequence[str]) -> str:
    if what == "learning rate":
        return "Learning rate."
    if what == "accuracy":
        text = "Share of images that are classified correctly"
    elif what == "loss":
        text = f"Loss{', logarithmic scale' if log else ''}"
    else:
        return f"{what[0].upper()}{what[1:]} of the {' and '.join(names)} images."
    both = "; training: mean over the batches since the last validation, with augmentation"
    return f"{text}{both if len(names) > 1 else ''}."


def confusion(judgement: Judgement, split: str) -> tuple[Markup, Folded]:
    """The confusion matrix of the evaluated split."""
    folded = fold(judgement.confusion, judgement.classes)
    caption = f"{judgement.n:,} {split_word(split)} images: rows are true classes, columns predictions."
    return confusion_table(folded, caption=caption), folded


def reliability_chart(facts: VerdictFacts, judgement: Judgement, limits: Thresholds) -> Chart | None:
    """Accuracy against confidence: one dot per bin, its area the number of images, with the Wilson interval of its accuracy."""
    _, _, count, confidence, accuracy = judgement.reliability
    filled = count > 0
    if not filled.any():
        return None
    radii = np.sqrt(count[filled] / count.max()).tolist()
    shares, sizes = accuracy[filled].tolist(), count[filled].tolist()
    bars = [wilson(share, n, limits.z) for share, n in zip(shares, sizes, strict=True)]
    line = Line("", confidence[filled].tolist(), shares, sizes=radii, intervals=bars)
    ece = facts.metric(facts.split, "ece")
    description = f"{plural(int(filled.sum()), 'bin')} of confidence; expected calibration error {decimal(ece)}."
    frame = Frame("Reliability", description, "confidence", "accuracy", *_UNIT, square=True, reference=True)
    caption = (
        "On the diagonal, confidence equals accuracy. Dot area: number of images; bars: 95 % Wilson interval of the accuracy. "
        "Where a bar meets the diagonal, the difference may be chance. "
        f"Expected calibration error {decimal(ece)}."
    )
    return Chart(line_chart([line], frame), caption)


_UNIT = ((0.0, 1.0), (0.0, 1.0))


def ranking_charts(judgement: Judgement) -> list[Chart]:
    """ROC and precision-recall: of class 1 if there are two, else the weakest classes by name and the others thin."""
    curves = [c for c in judgement.curves if c.index == 1] if len(judgement.classes) == 2 else list(judgement.curves)
    if not curves:
        return []
    f1 = {c.index: judgement.per_class[c.index]["f1"] or 0.0 for c in curves}
    named = sorted(f1, key=lambda index: f1[index])[:WORST_CURVES]
    order = sorted(curves, key=lambda c: -f1[c.index])  # the weakest are drawn last, above the others
    tones = {index: _TONES[place] for place, index in enumerate(named)}
    names = {index: judgement.classes[index] for index in named}
    which = _which(judgement, len(curves), len(named))
    roc = [
        Line(names.get(c.index, ""), c.roc.fpr.tolist(), c.roc.tpr.tolist(), tones.get(c.index, "quiet")) for c in order
    ]
    pairs = [(c, c.precision_recall) for c in order]
    pr = [
        Line(names.get(c.index, ""), p.recall.tolist(), p.precision.tolist(), tones.get(c.index, "quiet"))
        for c, p in pairs
    ]
    auc = decimal(judgement.metrics.get("auc"))
    description = f"AUC {auc}. {which}"
    rates = ("false positive rate", "true positive rate")
    roc_frame = Frame("ROC curves", description, *rates, *_UNIT, square=True, reference=True, names="lower right")
    pr_frame = Frame("Precision and recall", which, "recall", "precision", *_UNIT, square=True, names="lower left")
    return [
        Chart(line_chart(roc, roc_frame), f"ROC, each class against the rest: AUC {auc}. {which}"),
        Chart(line_chart(pr, pr_frame), f"Precision against recall as the threshold falls. {which}"),
    ]


def _which(judgement: Judgement, drawn: int, named: int) -> str:
    if len(judgement.classes) == 2:
        return f"Positive: {quote(judgement.classes[1])}."
    return worst_and_others(named, drawn - named, "F1") if drawn > named else ""


def mistakes(evaluation: SplitEvaluation, load_image: ImageLookup, maps: Mapping[int, HeatMap]) -> list[MistakeView]:
    """The most confident mistakes, with their images and heat maps if available."""
    place = {int(i): row for row, i in enumerate(evaluation.rows.id)}
    views = []
    for mistake in evaluation.judgement.mistakes[:MOST_MISTAKES]:
        row = place[mistake.id]
        probability = evaluation.rows.probability[row]
        pixels = load_image(evaluation.names[row])
        picture = None
        if pixels is not None:
            png = png_bytes(fitted(pixels, least=120, most=LARGEST))
            picture = page_picture(png, most=LARGEST, limit=LIMIT)
        views.append(
            MistakeView(
                image=picture.image if picture is not None else "",
                width=picture.width if picture is not None else 0,
                height=picture.height if picture is not None else 0,
                tiny=pixels is not None and max(pixels.shape[:2]) <= TINY,
                name=evaluation.names[row],
                target=evaluation.classes[mistake.target],
                predicted=evaluation.classes[mistake.predicted],
                predicted_probability=_rough(float(probability[mistake.predicted])),
                target_probability=_rough(float(probability[mistake.target])),
                map=map_picture(maps, mistake.id) if picture is not None else None,
            )
        )
    return views


def _rough(probability: float) -> str:
    """Whole per cents; what rounds to 0 is written as less than 1."""
    return f"< {percent(0.01, 10)}" if probability < 0.005 else percent(probability, 10)
