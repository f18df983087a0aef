"""Rules about the course of training, from one value per validation: was it too short, too long, did it overfit?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sightline.reports.finding import Finding, Try, VerdictFacts
from sightline.reports.thresholds import Thresholds
from sightline.reports.wording import decimal

from .learning import scale_setting
from .steps import LONGER

Row = Mapping[str, float | None]
PLATEAU = "It had reached a plateau"
IMPROVING = "It was still improving at the end"
RISING = "It overfits with time"


def course(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """Was training too short, too long, or did it overfit with time?"""
    return _by_loss(facts, limits) if facts.headline.of_images else _by_headline(facts, limits)


def _by_loss(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    rows = [r for r in facts.history if _finite(r.get("val_loss")) is not None]
    losses = [float(r["val_loss"] or 0.0) for r in rows]
    if facts.status != "finished" or len(losses) < limits.validations:
        return None
    best = min(range(len(losses)), key=losses.__getitem__)
    if _gain(facts, rows, best + 1) >= limits.late_points:
        return _by_headline(facts, limits)  # overconfident, but the accuracy still rises
    share = (best + 1) / len(losses)
    where, whole = _epoch(rows, best), _epoch(rows, len(rows) - 1)
    evidence = f"Validation loss: best {decimal(losses[best])} at {where}, {decimal(losses[-1])} at {whole}."
    rise = max(losses[best] * limits.loss_rise, limits.loss_floor)
    if losses[-1] > losses[best] + rise and share < limits.late:
        text = (
            "After its best point the validation loss rose again: from there on, the network memorised the training images "
            "instead of learning the task."
        )
        return _rising(facts, rows, best, text, evidence)
    if share >= limits.late and _still_gaining(facts, rows, losses, limits):
        longer = scale_setting(facts, "fit.epochs", 2)
        tries = (Try(LONGER, facts.command_with(longer)),) if longer else ()
        text = "The validation loss was still falling when training ended: the network can do better."
        return Finding("warning", "time", IMPROVING, text, evidence, tries)
    if share < limits.early:
        text = f"The validation loss did not improve after {where}; a longer run will not improve it either."
        return _plateau(facts, rows, best, text, evidence)
    return None


def _by_headline(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """By the validation headline: for pixels and objects, where the loss says little (a detector has none in validation),
    and for classes if both the loss and the headline rise."""
    name, column = facts.headline.name, f"val_{facts.headline.metric}"
    rows = [r for r in facts.history if _finite(r.get(column)) is not None]
    values = [float(r[column] or 0.0) for r in rows]
    if facts.status != "finished" or len(values) < limits.validations:
        return None
    best = max(range(len(values)), key=values.__getitem__)
    share, cut = (best + 1) / len(values), max(1, math.floor(len(values) * 0.75))
    where, figure = _epoch(rows, best), facts.headline.figure
    evidence = f"Validation {name}: best {figure(values[best])} at {where}, {figure(values[-1])} at the end."
    if values[best] - values[-1] > 2 * limits.gap and share < limits.late:
        selected = facts.setting("fit.monitor") in (None, facts.headline.metric)
        text = f"After its best point the validation {name} fell again."
        text += f" The weights of {where} were selected." if selected else ""
        return _rising(facts, rows, best, text, evidence)
    if share >= limits.late and max(values[cut:]) - max(values[:cut]) >= limits.late_points:
        longer = scale_setting(facts, "fit.epochs", 2)
        tries = (Try(LONGER, facts.command_with(longer)),) if longer else ()
        text = f"The validation {name} was still rising when training ended: the network can do better."
        return Finding("warning", "time", IMPROVING, text, evidence, tries)
    if share < limits.early:
        text = f"The validation {name} did not improve after {where}; a longer run will not improve it either."
        return _plateau(facts, rows, best, text, evidence)
    return None


def _plateau(facts: VerdictFacts, rows: Sequence[Row], best: int, text: str, evidence: str) -> Finding:
    shorter = _epochs_until(facts, rows, best)
    tries = (Try("Get the same result in less time.", facts.command_with(shorter)),) if shorter else ()
    return Finding("note", "run", PLATEAU, text, evidence, tries)


def _still_gaining(facts: VerdictFacts, rows: Sequence[Row], losses: Sequence[float], limits: Thresholds) -> bool:
    """Did the last quarter lower the loss and, if known, raise the headline? The loss alone proves nothing: it falls at
    the end of every schedule that ends at a low rate."""
    cut = max(1, math.floor(len(rows) * 0.75))
    known = all(_finite(row.get(f"val_{facts.headline.metric}")) is not None for row in rows)
    improves = not known or _gain(facts, rows, cut) >= limits.late_points
    return min(losses[cut:]) < min(losses[:cut]) * (1 - limits.late_gain) and improves


def _gain(facts: VerdictFacts, rows: Sequence[Row], cut: int) -> float:
    """By how much the best headline from row `cut` on exceeds the best before; 0 if unknown."""
    right = [known for row in rows if (known := _finite(row.get(f"val_{facts.headline.metric}"))) is not None]
    return max(right[cut:]) - max(right[:cut]) if len(right) == len(rows) and 0 < cut < len(rows) else 0.0


def _rising(facts: VerdictFacts, rows: Sequence[Row], best: int, text: str, evidence: str) -> Finding:
    shorter = _epochs_until(facts, rows, best)
    tries = [Try("Stop near the best validation.", facts.command_with(shorter))] if shorter else []
    slower = scale_setting(facts, "optim.lr", 1 / 3)
    tries += [Try("Or lower the learning rate.", facts.command_with(slower))] if slower else []
    return Finding("warning", "variance", RISING, text, evidence, tuple(tries))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _epoch(rows: Sequence[Row], index: int) -> str:
    epoch = _finite(rows[index].get("epoch"))
    return f"epoch {round(epoch, 1):g}" if epoch is not None else f"validation {index + 1}"


def _epochs_until(facts: VerdictFacts, rows: Sequence[Row], best: int) -> str:
    """`fit.epochs` that ends shortly after the best validation, or "" if that is no shorter."""
    epochs = facts.number("fit.epochs")
    if not epochs:
        return ""
    shorter = math.ceil(epochs * (best + 1) / len(rows) * 1.1)
    return f"fit.epochs={shorter}" if shorter < epochs else ""
