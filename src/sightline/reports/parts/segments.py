"""What only a segmentation's page shows: which classes' pixels are confused."""

from __future__ import annotations

from typing import Any

from sightline.drawing.matrix import confusion_table, fold
from sightline.reports.finding import VerdictFacts
from sightline.reports.rules.learning import split_word
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.reports.wording import percent, plural, quantity


def confusion_of_pixels(evaluation: SplitEvaluation, facts: VerdictFacts) -> dict[str, Any]:
    """The confusion matrix in per cent of each true class, and the pairs with most wrong pixels."""
    judgement = evaluation.judgement
    folded = fold(judgement.confusion, judgement.classes)
    pixels = f"{quantity(int(judgement.confusion.sum()))} pixels"
    where = plural(judgement.n, split_word(evaluation.split) + " image")
    caption = f"{pixels} of {where}: rows are true classes, columns predictions, in per cent of the row."
    folding = (
        f"The {len(folded.names) - 1} classes with most confusions are shown; the other {folded.folded} share one row "
        "and one column."
    )
    confusions = facts.pixels.confusions if facts.pixels is not None else ()
    return {
        "table": confusion_table(folded, caption=caption, shares=True),
        "pairs": [
            {
                "target": t.target,
                "predicted": t.predicted,
                "count": f"{percent(t.of_class)} of the class, {percent(t.of_wrong)} of all wrong pixels",
            }
            for t in confusions
        ],
        "folded": folding if folded.folded else "",
    }
