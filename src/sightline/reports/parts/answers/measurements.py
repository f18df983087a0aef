"""What the report says about predicted numbers only."""

from __future__ import annotations

import numpy as np

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.reports.chapter import Chapter, PageSection, RowFacts, Scene, Table
from sightline.reports.finding import VerdictFacts
from sightline.reports.headline import Headline
from sightline.reports.parts.dense_tables import Cell, ClassTable
from sightline.reports.parts.figures import Chart
from sightline.reports.rules import data, guessing
from sightline.reports.rules.course import course
from sightline.reports.rules.learning import split_word
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.reports.template import section
from sightline.reports.thresholds import DENSE_LIMITS, Thresholds, dense_threshold_rows
from sightline.reports.wording import NOTHING, decimal, percent

from .views import chart_section, worst_answers, worst_section

R2 = Headline(
    "r2",
    "R²",
    "an",
    meaning="the share of the variance of the true values that the predictions explain; 0 is what their mean explains",
)
METRICS = {
    "r2": "R², explained variance",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "mae_of_mean": "mean absolute error of the constant",
    "rmse_of_mean": "root mean squared error of the constant",
    "loss": "loss (squared standard deviations)",
}
MOST_TARGETS = 6  # with charts
MOST_POINTS = 600  # of a chart
_DOT = 0.08  # its radius, as a share of the largest


def _row_facts(evaluation: SplitEvaluation, headline: Headline, limits: Thresholds) -> RowFacts:
    return RowFacts(majority=("predicting the mean of the training images", 0.0))


def _sections(scene: Scene) -> list[PageSection]:
    evaluation = scene.content.evaluation
    if evaluation is None or not evaluation.judgement.n:
        return []
    charts = []
    for place in range(min(len(evaluation.classes), MOST_TARGETS)):
        charts += value_charts(evaluation, place)
    sections = [chart_section("values", "Predicted and true values", charts)] if charts else []
    sections.append(PageSection("classes", "Targets", section("targets_section", _table(evaluation))))
    if views := worst_answers(evaluation, scene.load_image, scene.content.maps, lambda row: _words(evaluation, row)):
        intro = "The images with the largest errors, largest first; of several targets in units of their standard deviation."
        sections.append(worst_section(views, intro, scene.content.maps))
    return sections


def value_charts(evaluation: SplitEvaluation, place: int) -> list[Chart]:
    """Predicted against true values, and the errors against the true values, of one target."""
    rows, name = evaluation.rows, evaluation.classes[place]
    known = np.flatnonzero(~np.isnan(rows.target[:, place]))
    known = known[:: max(1, -(-len(known) // MOST_POINTS))]
    true, predicted = rows.target[known, place], rows.prediction[known, place]
    if len(known) < 2:
        return []
    low, high = float(min(true.min(), predicted.min())), float(max(true.max(), predicted.max()))
    room = 0.04 * (high - low or abs(high) or 1.0)
    span = (low - room, high + room)
    dots = [_DOT] * len(known)
    row = evaluation.judgement.per_class[place]
    constant = f"{decimal(row['mae_of_mean'])} for the constant"
    figures = f"R² {percent(row['r2'])}, mean absolute error {decimal(row['mae'])}; {constant}"
    diagonal = Line("", span, span, "quiet")
    scatter = Line("", true.tolist(), predicted.tolist(), "one", sizes=dots)
    frame = Frame(
        f"{name}: predicted against true", f"{figures}.", f"true {name}", f"predicted {name}", span, span, square=True
    )
    error = predicted - true
    far = float(np.abs(error).max()) * 1.05 or 1.0
    flat = Line("", (float(true.min()), float(true.max())), (0.0, 0.0), "quiet")
    errors = Line("", true.tolist(), error.tolist(), "two", sizes=dots)
    about = f"Mean error {decimal(float(error.mean()))}, standard deviation {decimal(float(error.std()))}"
    residuals = Frame(f"{name}: residuals", f"{about}.", f"true {name}", "predicted − true", None, (-far, far))
    some = f" {len(known):,} of the images." if len(known) < evaluation.judgement.n else ""
    return [
        Chart(line_chart([diagonal, scatter], frame), f"{figures}. On the line, they are equal.{some}"),
        Chart(
            line_chart([flat, errors], residuals),
            f"Residuals. {about}. A slope means that predictions shrink towards the mean.",
        ),
    ]


def _table(evaluation: SplitEvaluation) -> ClassTable:
    rows = []
    for row in evaluation.judgement.per_class:
        rows.append(
            (
                Cell("name", row["class"]),
                Cell("num", f"{row['support']:,}"),
                Cell("num", decimal(row["mae"])),
                Cell("num", _span(row, "mae")),
                Cell("num", decimal(row["mae_of_mean"])),
                Cell("num", decimal(row["rmse"])),
                Cell("num", _span(row, "rmse")),
                Cell("num", decimal(row["rmse_of_mean"])),
                Cell("num", percent(row["r2"])),
            )
        )
    word = split_word(evaluation.split)
    heads = [("target", "name"), (f"{word} images", "num"), ("MAE", "num"), ("95 % interval", "num")]
    heads += [("MAE of the constant", "num"), ("RMSE", "num"), ("95 % interval", "num")]
    heads += [("RMSE of the constant", "num"), ("R²", "num")]
    aside = (
        "MAE: mean absolute error; RMSE: root of the mean squared error; both in the units of the data. The constant is the "
        "mean of the training images: what predicts without looking. R²: share of the variance explained."
    )
    return ClassTable(tuple(heads), tuple(rows), aside)


def _span(row: dict[str, object], name: str) -> str:
    intervals = row["intervals"]
    bounds = intervals.get(name) if isinstance(intervals, dict) else None
    return NOTHING if bounds is None else f"{decimal(bounds[0])}–{decimal(bounds[1])}"


def _words(evaluation: SplitEvaluation, row: int) -> tuple[str, str]:
    """Answer and truth; of several targets that with the largest error."""
    rows = evaluation.rows
    error = np.abs(rows.prediction[row] - rows.target[row]) / np.where(rows.scale > 0, rows.scale, 1.0)
    place = int(np.nanargmax(error))
    name = f" ({evaluation.classes[place]})" if len(evaluation.classes) > 1 else ""
    return f"{rows.prediction[row, place]:.4g}{name}", f"{rows.target[row, place]:.4g}"


def _class_table(evaluation: SplitEvaluation, facts: VerdictFacts, limits: Thresholds) -> Table:
    return _table(evaluation).plain()


MEASUREMENTS = Chapter(
    headline=R2,
    metric_names=METRICS,
    row_facts=_row_facts,
    result=guessing.result,
    rules=(course, data.labels, data.test_size, data.untested, data.near_perfect),
    sections=_sections,
    class_table=_class_table,
    limits=DENSE_LIMITS,
    threshold_rows=dense_threshold_rows,
    in_per_cent=lambda name: name == "r2",
)
