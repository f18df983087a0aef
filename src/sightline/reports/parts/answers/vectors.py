"""What the report says about vectors only: ROC, distances of equal and of different pairs, the hardest pairs."""

from __future__ import annotations

import numpy as np

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.drawing.png import fitted, png_bytes
from sightline.metrics.ranking import roc_curve
from sightline.metrics.similarity.vectors import measured, some_identities
from sightline.metrics.similarity.verification import PairDistances
from sightline.reports.chapter import Chapter, ImageLookup, PageSection, RowFacts, Scene, Table
from sightline.reports.finding import Finding, VerdictFacts
from sightline.reports.headline import Headline
from sightline.reports.parts.dense_tables import Cell, ClassTable
from sightline.reports.parts.figures import LARGEST, LIMIT, Chart
from sightline.reports.parts.picture import page_picture
from sightline.reports.rules import data
from sightline.reports.rules.course import course
from sightline.reports.rules.learning import headline_interval, split_word
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.reports.template import section
from sightline.reports.thresholds import DENSE_LIMITS, Thresholds, dense_threshold_rows
from sightline.reports.wording import percent

from .views import AnswerView, chart_section, worst_section

AUC = Headline(
    "auc",
    "AUC",
    "an",
    blind="pixels or PCA",
    meaning="the probability that two images of one identity are nearer to each other than two of different identities",
)
METRICS = {
    "auc": "AUC of verification",
    "eer": "equal error rate",
    "far": "false acceptances at the threshold",
    "frr": "false rejections at the threshold",
    "recall_at_1": "recall@1",
    "map_at_r": "MAP@R",
    "one_shot": "one-shot accuracy",
}
SHORT = {"auc": "AUC", "recall_at_1": "recall@1", "map_at_r": "MAP@R", "one_shot": "one-shot accuracy"}
METRICS |= {
    f"{column}_{metric}": f"{name} of {words}"
    for column, words in (("pixels", "raw pixels"), ("pca", "principal components"))
    for metric, name in SHORT.items()
}
BESIDE = ("pixels_auc", "pca_auc")  # what sees without having learned
BINS = 40
MOST_POINTS = 400  # of a curve
_GAP = 4  # pixels between two images


def _row_facts(evaluation: SplitEvaluation, headline: Headline, limits: Thresholds) -> RowFacts:
    known = [value for name in BESIDE if (value := evaluation.judgement.metrics.get(name)) is not None]
    return RowFacts(majority=("comparing pixels or principal components", max(known)) if known else None)


def _result(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """The headline with its interval, and what is reached without learning."""
    value, interval, headline = facts.value, headline_interval(facts, limits), facts.headline
    if value is None:
        return None
    span = f" (95 % interval {headline.span(*interval)})" if interval is not None else ""
    figures = f"{headline.title} {headline.figure(value)}{span}: {headline.meaning}."
    if facts.majority is None:
        return Finding("note", "result", f"{headline.title} {headline.figure(value)}", figures)
    name, share = facts.majority
    text = f"{name[:1].upper()}{name[1:]} reaches {headline.figure(share)} on the same images, without learning."
    if value <= share:
        return Finding("serious", "result", "No better than comparing pixels", text, figures)
    if interval is None or interval[0] <= share:
        few = " There are too few identities to tell the two apart."
        return Finding("note", "result", f"{headline.title} {headline.figure(value)}", text + few, figures)
    return Finding("good", "result", "It sees more than pixels do", text, figures)


def _sections(scene: Scene) -> list[PageSection]:
    evaluation = scene.content.evaluation
    if evaluation is None or not evaluation.judgement.n:
        return []
    rows = some_identities(evaluation.rows)
    pairs = measured(rows).pairs
    sections = []
    if pairs.same.any() and not pairs.same.all():
        others = {
            "pixels": measured(rows, "pixels").pairs,
            "components": measured(rows, "components").pairs,
        }
        charts = [_roc(evaluation, pairs, others), _histograms(rows.threshold, pairs)]
        sections.append(chart_section("verification", "Do two images show the same?", charts))
    sections.append(PageSection("classes", "Identities", section("targets_section", _table(evaluation))))
    if views := _hard_pairs(evaluation, scene.load_image):
        intro = "Pairs of one identity that are farthest apart, and pairs of two that are nearest to each other."
        sections.append(worst_section(views, intro, {}))
    return sections


def _roc(evaluation: SplitEvaluation, pairs: PairDistances, others: dict[str, PairDistances]) -> Chart:
    metrics = evaluation.judgement.metrics
    named = (
        ("vectors", pairs, "one", "auc"),
        ("pixels", others["pixels"], "quiet", "pixels_auc"),
        ("PCA", others["components"], "two", "pca_auc"),
    )
    lines, words = [], []
    for name, some, tone, metric in named:
        curve = roc_curve(some.same, -some.distance)
        assert curve is not None
        x, y = _thinned(curve.fpr, curve.tpr)
        lines.append(Line(name, x, y, tone))
        words.append(f"{name} {percent(metrics[metric])}")
    text = (
        f"AUC: {', '.join(words)}. {int(pairs.same.sum()):,} equal pairs, {int((~pairs.same).sum()):,} different ones."
    )
    frame = Frame(
        "ROC of verification", text, "false acceptances", "true acceptances", (0, 1), (0, 1), square=True,
        reference=True, names="lower right",
    )  # fmt: skip
    return Chart(line_chart(lines, frame), text)


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[list[float], list[float]]:
    kept = np.unique(np.linspace(0, len(x) - 1, min(MOST_POINTS, len(x))).round().astype(int))
    return x[kept].tolist(), y[kept].tolist()


def _histograms(threshold: float, pairs: PairDistances) -> Chart:
    """Shares of the distances of each kind of pair, as steps."""
    edges = np.linspace(0, float(pairs.distance.max()) or 1.0, BINS + 1)
    lines, top = [], 0.0
    for name, kind, tone in (("same", pairs.same, "one"), ("different", ~pairs.same, "two")):
        share = np.histogram(pairs.distance[kind], edges)[0] / kind.sum()
        lines.append(Line(name, np.repeat(edges, 2)[1:-1].tolist(), np.repeat(share, 2).tolist(), tone))
        top = max(top, float(share.max()))
    text = "Distances of pairs of one identity and of two."
    if not np.isnan(threshold):
        lines.append(Line("threshold", [threshold, threshold], [0.0, top], "quiet"))
        far, frr = (pairs.distance <= threshold)[~pairs.same].mean(), (pairs.distance > threshold)[pairs.same].mean()
        text += f" At the threshold of {threshold:.3g}, chosen on other people, {percent(float(far))} of the different pairs"
        text += f" are accepted and {percent(float(frr))} of the equal ones rejected."
    frame = Frame("Distances", text, "distance", "share of the pairs", None, (0.0, top * 1.05))
    return Chart(line_chart(lines, frame), text)


def _table(evaluation: SplitEvaluation) -> ClassTable:
    heads = [("identity", "name"), (f"{split_word(evaluation.split)} images", "num"), ("recall@1", "num")]
    heads += [("MAP@R", "num"), ("one-shot", "num")]
    rows = tuple(
        (
            Cell("name", row["class"]),
            Cell("num", f"{row['support']:,}"),
            *(Cell("num", percent(row[name])) for name in ("recall_at_1", "map_at_r", "one_shot")),
        )
        for row in evaluation.judgement.per_class
    )
    aside = (
        "None of these identities was in training. MAP@R: of the R nearest others, where R is how many show the same."
    )
    return ClassTable(tuple(heads), rows, aside)


def _class_table(evaluation: SplitEvaluation, facts: VerdictFacts, limits: Thresholds) -> Table:
    return _table(evaluation).plain()


def _hard_pairs(evaluation: SplitEvaluation, load_image: ImageLookup) -> list[AnswerView]:
    place = {int(i): row for row, i in enumerate(evaluation.rows.id)}
    views = []
    for pair in evaluation.judgement.hardest:
        one, other = (place[i] for i in (pair.first, pair.second))
        images = [load_image(evaluation.names[row]) for row in (one, other)]
        picture = None
        if images[0] is not None and images[1] is not None:
            beside = _beside(
                fitted(images[0], least=120, most=LARGEST // 2), fitted(images[1], least=120, most=LARGEST // 2)
            )
            picture = page_picture(png_bytes(beside), most=LARGEST, limit=LIMIT)
        who = [evaluation.classes[int(evaluation.rows.identity[row])] for row in (one, other)]
        views.append(
            AnswerView(
                image=picture.image if picture is not None else "",
                width=picture.width if picture is not None else 0,
                height=picture.height if picture is not None else 0,
                tiny=False,
                name=f"{evaluation.names[one]} · {evaluation.names[other]}",
                answer=f"distance {pair.distance:.3g}",
                truth=who[0] if pair.same else f"{who[0]}, {who[1]}",
            )
        )
    return views


def _beside(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Two images next to each other, white where one is shorter."""
    height = max(len(one), len(other))
    parts = []
    for image in (one, other):
        image = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image[:, :, :3]
        parts.append(np.pad(image, ((0, height - len(image)), (0, _GAP), (0, 0)), constant_values=255))
    return np.concatenate(parts, axis=1)[:, :-_GAP]


VECTORS = Chapter(
    headline=AUC,
    metric_names=METRICS,
    row_facts=_row_facts,
    result=_result,
    rules=(course, data.labels, data.untested),
    sections=_sections,
    class_table=_class_table,
    limits=DENSE_LIMITS,
    threshold_rows=dense_threshold_rows,
    in_per_cent=lambda name: True,
    resampled="identities",
)
