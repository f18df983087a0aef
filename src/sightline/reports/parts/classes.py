"""What the report says about classification only."""

from __future__ import annotations

from sightline.reports.chapter import Chapter, PageSection, Scene, Table
from sightline.reports.finding import VerdictFacts
from sightline.reports.headline import ACCURACY
from sightline.reports.rules import learning
from sightline.reports.rules.learning import split_word
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.reports.template import section
from sightline.reports.thresholds import Thresholds, threshold_rows
from sightline.reports.wording import plural

from .class_facts import row_facts
from .figures import MOST_MISTAKES, mistakes, ranking_charts, reliability_chart
from .picture import map_note
from .tables import class_table, confusion_values

SHARES = ("accuracy", "balanced_accuracy", "top5_accuracy")  # in per cent; the others as numbers
METRICS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "top5_accuracy": "top-5 accuracy",
    "macro_f1": "macro F1",
    "mcc": "Matthews correlation",
    "auc": "AUC",
    "loss": "loss (nats)",
    "ece": "expected calibration error",
}


def _sections(scene: Scene) -> list[PageSection]:
    evaluation, facts = scene.content.evaluation, scene.facts
    if evaluation is None:
        return []
    charts = [
        *filter(None, [reliability_chart(facts, evaluation.judgement, scene.limits)]),
        *ranking_charts(evaluation.judgement),
    ]
    classes, wrong = (
        class_table(evaluation, facts, scene.limits),
        mistakes(evaluation, scene.load_image, scene.content.maps),
    )
    confusion = section("confusion_section", confusion_values(evaluation))
    sections = [PageSection("confusions", "Confusion matrix", confusion)]
    if classes:
        sections.append(PageSection("classes", "Classes", section("recall_section", classes, split_word(facts.split))))
    if wrong:
        html = section("mistakes_section", wrong, _mistakes_intro(facts, len(wrong)), map_note(scene.content.maps))
        sections.append(PageSection("mistakes", "Mistakes", html))
    if charts:
        sections.append(PageSection("trust", "Probabilities", section("trust_section", charts)))
    return sections


def _mistakes_intro(facts: VerdictFacts, count: int) -> str:
    which = "Below are all of them" if count == facts.mistakes else f"Below are the {min(count, MOST_MISTAKES)} worst"
    return (
        f"{plural(facts.mistakes, 'image')} of {facts.n:,} {'is' if facts.mistakes == 1 else 'are'} misclassified. "
        f"{which}, sorted by how far the probability of the predicted class exceeds that of the labelled class."
    )


def _class_rows(evaluation: SplitEvaluation, facts: VerdictFacts, limits: Thresholds) -> Table:
    keys = ("name", "train", "n", "recall", "interval", "precision", "f1")
    head = ["class", "train", split_word(facts.split), "recall", "95 % interval", "precision", "F1"]
    return head, [[row[key] for key in keys] for row in class_table(evaluation, facts, limits)]


CLASSES = Chapter(
    headline=ACCURACY,
    metric_names=METRICS,
    row_facts=row_facts,
    result=learning.result,
    sections=_sections,
    class_table=_class_rows,
    threshold_rows=threshold_rows,
    in_per_cent=lambda name: name in SHARES,
)
