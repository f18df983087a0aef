"""What the report says of classifiers only."""

from __future__ import annotations

from sightline.reports.chapter import Chapter, PageSection, Scene, Table
from sightline.reports.finding import VerdictFacts
from sightline.reports.headline import ACCURACY
from sightline.reports.judged import JudgedSplit
from sightline.reports.rules import learning
from sightline.reports.rules.learning import split_word
from sightline.reports.template import section
from sightline.reports.thresholds import Thresholds, lines
from sightline.reports.wording import counted

from .class_facts import row_facts
from .figures import MOST_MISTAKES, mistakes, ranking_charts, reliability_chart
from .tables import class_table, confusion_values

SHARES = ("accuracy", "balanced_accuracy", "top5")  # shown in per cent; the others as numbers
METRICS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "top5": "among the first five",
    "macro_f1": "macro F1",
    "mcc": "Matthews correlation",
    "auc": "AUC",
    "loss": "loss (nats)",
    "ece": "calibration error",
}


def _sections(scene: Scene) -> list[PageSection]:
    judged, facts = scene.content.judged, scene.facts
    if judged is None:
        return []
    trust = [*filter(None, [reliability_chart(facts, judged.judgement)]), *ranking_charts(judged.judgement)]
    classes, wrong = class_table(judged, facts, scene.limits), mistakes(judged, scene.picture)
    confusion = section("confusion_section", confusion_values(judged))
    found = [PageSection("confusions", "Confusions", confusion)]
    if classes:
        found.append(PageSection("classes", "Classes", section("recall_section", classes, split_word(facts.split))))
    if wrong:
        html = section("mistakes_section", wrong, _mistakes_intro(facts, len(wrong)))
        found.append(PageSection("mistakes", "Mistakes", html))
    if trust:
        found.append(PageSection("trust", "Probabilities", section("trust_section", trust)))
    return found


def _mistakes_intro(facts: VerdictFacts, shown_here: int) -> str:
    which = "All of them" if shown_here == facts.mistakes else f"The {min(shown_here, MOST_MISTAKES)} worst of them"
    return (
        f"{counted(facts.mistakes, 'image')} of {facts.n:,} {'is' if facts.mistakes == 1 else 'are'} taken for another "
        f"class. {which}, by how much more the model believed in its answer than in the label: what it said, and below it "
        "what the label says, each with the model's probability."
    )


def _class_rows(judged: JudgedSplit, facts: VerdictFacts, limits: Thresholds) -> Table:
    keys = ("name", "train", "n", "recall", "interval", "precision", "f1")
    head = ["class", "train", split_word(facts.split), "recall", "95 % interval", "precision", "F1"]
    return head, [[row[key] for key in keys] for row in class_table(judged, facts, limits)]


CLASSES = Chapter(
    headline=ACCURACY,
    metric_names=METRICS,
    row_facts=row_facts,
    result=learning.result,
    sections=_sections,
    class_table=_class_rows,
    lines=lines,
    in_per_cent=lambda name: name in SHARES,
)
