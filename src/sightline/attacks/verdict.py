"""What the figures of an attack amount to, in at most three sentences."""

from __future__ import annotations

from .diagnosis import REASONS, Diagnosis
from .robustness import Robustness
from .share import Share


def budget_text(eps: float | None, norm: str) -> str:
    """A budget in words: 8/255, an l2 norm of 128 levels, one pixel."""
    if eps is None:
        return "one pixel"
    return f"{eps:g}/255" if norm == "linf" else f"an L2 norm of {eps:g} levels"


def verdict(outcome: Robustness, diagnosis: Diagnosis | None, target: str | None = None) -> str:
    """The conclusion. Where gradients are hidden it gives no accuracy under attack as evidence of anything."""
    clean, last = outcome.points[0].saved, outcome.points[-1].saved
    if not outcome.open:
        return "No image was attacked: the network has none of them right."
    if diagnosis is not None and not diagnosis.believable:
        return _doubt(diagnosis)
    where = budget_text(outcome.points[-1].eps, outcome.plan.norm)
    if target is not None:
        share = outcome.broken / outcome.open
        return f"{_percent(share)} of {outcome.open:,} images become {target} with {where}."
    low, high = last.interval
    found = (
        f"Accuracy falls from {_percent(clean.accuracy)} to {_percent(last.accuracy)} ({_percent(low)} to {_percent(high)}) "
        f"with {where}, on {last.n:,} images."
    )
    return found + _advice(clean, last)


def _advice(clean: Share, last: Share) -> str:
    if last.right <= 0.1 * clean.right:
        return " The network does not withstand it; task.adversarial=pgd trains against it."
    return " That is an upper bound: a stronger attack may break more."


def _doubt(diagnosis: Diagnosis) -> str:
    reasons = "; ".join(REASONS[sign] for sign in diagnosis.signs)
    return (
        f"The accuracy under this attack proves nothing: {reasons}. With the same budget, of {diagnosis.n} images that were "
        f"right, {_percent(diagnosis.left_by_gradients, 0)} survive the gradients and "
        f"{_percent(diagnosis.left_by_search, 0)} a random search. "
        "Judge by the search, or attack the network without the part that hides its gradients."
    )


def _percent(share: float, decimals: int = 1) -> str:
    return f"{100 * share:.{decimals}f} %"
