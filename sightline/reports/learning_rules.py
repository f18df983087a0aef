"""Rules about learning, one function a rule: is it better than guessing, does it fit, carry over, was it done?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from .finding import Facts, Finding, Severity, Try, chance, wilson
from .thresholds import Thresholds
from .wording import decimal, percent, percent_range, points, quoted

Row = Mapping[str, float | None]
SPLIT_WORDS = {"train": "training", "val": "validation", "test": "test"}


def split_word(split: str) -> str:
    """ "val" → "validation"."""
    return SPLIT_WORDS.get(split, split)


def accuracy_interval(facts: Facts, limits: Thresholds) -> tuple[float, float] | None:
    """The judged accuracy's interval; Wilson's where the judgement gave none."""
    accuracy = facts.metric(facts.split, "accuracy")
    if accuracy is None:
        return None
    return facts.interval or wilson(accuracy, facts.n, limits.z)


def result(facts: Facts, limits: Thresholds) -> Finding | None:
    """How good, with interval, against always saying the commonest class."""
    accuracy, interval = facts.metric(facts.split, "accuracy"), accuracy_interval(facts, limits)
    if accuracy is None or interval is None:
        return None
    where = f"{facts.n:,} {split_word(facts.split)} images"
    figures = f"{percent(accuracy, facts.n)} (95 % interval {percent_range(*interval, facts.n)}) of {where}"
    if facts.majority is None:
        return Finding("note", "result", f"Right on {percent(accuracy, facts.n)}", f"It is right on {figures}.")
    name, share = facts.majority
    against = f"Always saying {quoted(name)} would be right on {percent(share, facts.n)}."
    if interval[0] <= share:
        more = Try("First make it learn a few images by heart; if it cannot, the labels or the settings are wrong.")
        slower = _scaled(facts, "optim.lr", 1 / 3)
        again = (Try("Train more slowly.", facts.again(slower)),) if slower else ()
        sentence = f"It is right on {figures}. {against} The difference is within chance."
        return Finding("serious", "result", "No better than guessing", sentence, try_next=(more, *again))
    gone = 1 - (1 - accuracy) / (1 - share) if share < 1 else 1.0
    sentence = f"{against} Of the errors of such guessing {percent(gone, facts.n)} are gone."
    return Finding("good", "result", "It has learned", sentence, f"It is right on {figures}.")


def fit_quality(facts: Facts, limits: Thresholds) -> list[Finding]:
    """Bias and variance from the training and validation accuracy, the larger one first."""
    train, val = facts.metric("train", "accuracy"), facts.metric("val", "accuracy")
    if train is None:
        return []
    figures = [f"training {percent(train, facts.sizes.get('train'))}"]
    if val is not None:
        figures.append(f"validation {percent(val, facts.sizes.get('val'))}")
    evidence = "Accuracy: " + ", ".join(figures) + "."
    gap = train - val if val is not None else 0.0
    noise = chance(train, facts.sizes.get("train", 0), val or 0.0, facts.sizes.get("val", 0), limits.z)
    over = _over_fit(facts, gap, evidence) if gap > max(limits.gap, noise) else None
    under = _under_fit(facts, train, evidence) if train < limits.train_poor else None
    if over is None and under is None:
        return [_balanced(gap, noise, evidence)] if val is not None else []
    order = [over, under] if gap >= 1 - train else [under, over]
    return [finding for finding in order if finding is not None]


def _over_fit(facts: Facts, gap: float, evidence: str) -> Finding:
    decay = facts.number("optim.weight_decay") or 0.001
    stronger = {"none": "light", "light": "standard"}.get(str(facts.setting("augment.preset")))
    tries = [Try("Show each image in more ways.", facts.again(f"augment.preset={stronger}"))] if stronger else []
    tries.append(Try("Hold the weights back.", facts.again(f"optim.weight_decay={decay * 10:g}")))
    tries.append(Try("More labelled images, most of all of the classes that it confuses, help more than any setting."))
    sentence = (
        f"It does better by {points(gap)} on the images that it learned from than on images that it has not seen: "
        "it has learned particulars that do not carry over."
    )
    return Finding("serious" if gap > 0.1 else "warning", "variance", "Over-fitting", sentence, evidence, tuple(tries))


def _under_fit(facts: Facts, train: float, evidence: str) -> Finding:
    longer, faster = _scaled(facts, "fit.epochs", 2), _scaled(facts, "optim.lr", 3)
    tries = [Try("Train longer.", facts.again(longer))] if longer else []
    tries += [Try("Take larger steps.", facts.again(faster))] if faster else []
    if facts.setting("augment.preset") == "standard":
        tries.append(Try("Make the training images less hard.", facts.again("augment.preset=light")))
    tries.append(Try("Take a larger network; this lists them.", "sightline models"))
    sentence = (
        f"It is wrong on {percent(1 - train, facts.sizes.get('train'))} of the images that it learned from. "
        "More data will not help before the network can fit what it has."
    )
    severity: Severity = "serious" if train < 0.75 else "warning"
    return Finding(severity, "bias", "Under-fitting", sentence, evidence, tuple(tries))


def _balanced(gap: float, noise: float, evidence: str) -> Finding:
    known = "small, though beyond chance" if abs(gap) > noise else "within chance"
    sentence = f"Training and validation accuracy are {points(gap)} apart: {known}."
    return Finding("good", "variance", "It fits, and what it learned carries over", sentence, evidence)


def course(facts: Facts, limits: Thresholds) -> Finding | None:
    """Was training too short, too long, or did it over-fit with time? From the validation loss."""
    rows = [r for r in facts.history if _known(r.get("val_loss")) is not None]
    losses = [float(r["val_loss"] or 0.0) for r in rows]
    if facts.status != "finished" or len(losses) < limits.validations:
        return None
    best = min(range(len(losses)), key=losses.__getitem__)
    share = (best + 1) / len(losses)
    where, whole = _epoch(rows, best), _epoch(rows, len(rows) - 1)
    evidence = f"Validation loss: best {decimal(losses[best])} at {where}, {decimal(losses[-1])} at {whole}."
    if losses[-1] > losses[best] * (1 + limits.loss_rise) and share < limits.late:
        return _rising(facts, rows, best, evidence)
    if share >= limits.late and _still_gaining(rows, losses, limits):
        longer = _scaled(facts, "fit.epochs", 2)
        tries = (Try("Train longer.", facts.again(longer)),) if longer else ()
        text = "The validation loss was still falling when training ended: this is not yet what the network can do."
        return Finding("warning", "time", "It was still improving at the end", text, evidence, tries)
    if share < limits.early:
        shorter = _epochs_of(facts, rows, best)
        tries = (Try("The same result in less time.", facts.again(shorter)),) if shorter else ()
        text = f"Nothing after {where} made the validation loss lower; a longer run of the same kind will not either."
        return Finding("note", "run", "It had reached a plateau", text, evidence, tries)
    return None


def _still_gaining(rows: Sequence[Row], losses: Sequence[float], limits: Thresholds) -> bool:
    """Did the last quarter lower the loss, and raise the accuracy where that is known? The loss alone falls at the end
    of every schedule that ends low."""
    cut = max(1, math.floor(len(rows) * 0.75))
    right = [known for row in rows if (known := _known(row.get("val_accuracy"))) is not None]
    gained = max(right[cut:]) - max(right[:cut]) if len(right) == len(rows) else 1.0
    return min(losses[cut:]) < min(losses[:cut]) * (1 - limits.late_gain) and gained >= limits.late_points


def _rising(facts: Facts, rows: Sequence[Row], best: int, evidence: str) -> Finding:
    shorter = _epochs_of(facts, rows, best)
    tries = [Try("Stop near the best validation.", facts.again(shorter))] if shorter else []
    slower = _scaled(facts, "optim.lr", 1 / 3)
    tries += [Try("Or take smaller steps.", facts.again(slower))] if slower else []
    text = (
        "After its best point the validation loss rose again: from there on the network learned the training images "
        "and not the task."
    )
    return Finding("warning", "variance", "It over-fits with time", text, evidence, tuple(tries))


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _epoch(rows: Sequence[Row], index: int) -> str:
    epoch = _known(rows[index].get("epoch"))
    return f"epoch {epoch:g}" if epoch is not None else f"validation {index + 1}"


def _epochs_of(facts: Facts, rows: Sequence[Row], best: int) -> str:
    """`fit.epochs` that ends a little after the best validation, or "" when that is no shorter."""
    epochs = facts.number("fit.epochs")
    if not epochs:
        return ""
    wanted = math.ceil(epochs * (best + 1) / len(rows) * 1.1)
    return f"fit.epochs={wanted}" if wanted < epochs else ""


def _scaled(facts: Facts, key: str, factor: float) -> str:
    """`key=value · factor`, whole numbers staying whole and at least 1; "" when the recipe has no such number."""
    value = facts.number(key)
    if value is None or value <= 0:
        return ""
    scaled = value * factor
    if value == round(value):
        return f"{key}={max(1, round(scaled))}"
    return f"{key}={float(f'{scaled:.1g}'):g}"
