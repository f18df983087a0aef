"""What only a segmentation's page shows: which class's pixels are taken for which."""

from __future__ import annotations

from typing import Any

from sightline.drawing.matrix import confusion_table, fold
from sightline.reports.finding import VerdictFacts
from sightline.reports.judged import JudgedSplit
from sightline.reports.rules.learning import split_word
from sightline.reports.wording import counted, percent, quantity


def confusion_of_pixels(judged: JudgedSplit, facts: VerdictFacts) -> dict[str, Any]:
    """The confusion matrix in per cent of each true class, and the pairs with most wrong pixels."""
    judgement = judged.judgement
    folded = fold(judgement.confusion, judgement.classes)
    pixels = f"{quantity(int(judgement.confusion.sum()))} pixels"
    where = counted(judgement.n, split_word(judged.split) + " image")
    caption = f"{pixels} of {where}: rows are the truth, columns what the model said, in per cent of the row."
    told = (
        f"Shown are the {len(folded.names) - 1} classes with most confusions; the other {folded.folded} are one row "
        "and one column."
    )
    taken = facts.pixels.taken if facts.pixels is not None else ()
    return {
        "table": confusion_table(folded, caption=caption, shares=True),
        "pairs": [
            {
                "target": t.target,
                "predicted": t.predicted,
                "count": f"{percent(t.of_class)} of it, {percent(t.of_wrong)} of all wrong",
            }
            for t in taken
        ],
        "folded": told if folded.folded else "",
    }
