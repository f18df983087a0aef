"""Rules about the first and the last steps: did training diverge early, was it far too short?

They come before all that speaks of bias and variance: a network that was thrown out of its range, or that took a handful of
steps, says nothing about its size or its data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sightline.reports.finding import Finding, Try, VerdictFacts
from sightline.reports.thresholds import Thresholds
from sightline.reports.wording import decimal, plural

LONGER = "Train longer."
TOO_HIGH = "the learning rate is too high"
_USUAL = {"sgd": 0.1, "adamw": 0.002, "adam": 0.002, "rmsprop": 0.002, "adagrad": 0.01, "adadelta": 1.0}


def exploded(history: Sequence[Mapping[str, float | None]], classes: int, factor: float) -> int | None:
    """The first row whose training loss was not finite or above `factor` times that of guessing among so many classes,
    ln k; None if there is none, if the loss has come down to that of guessing since, or if nothing is known."""
    losses = [row["train_loss"] for row in history if "train_loss" in row]
    if classes < 2 or not losses:
        return None
    guessing = math.log(classes)
    high = [loss is None or not loss <= factor * guessing for loss in losses]
    if not any(high) or (losses[-1] is not None and losses[-1] < 0.9 * guessing):
        return None
    return high.index(True)


def diverged(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """A run that was stopped because its numbers left the range, or that ended although its loss had exploded."""
    rate = facts.number("optim.lr")
    slower = min(rate / 10, _USUAL.get(str(facts.setting("optim.name")), rate)) if rate else None
    change = facts.command_with(f"optim.lr={float(f'{slower:.1g}'):g}") if slower else ""
    tries = (Try("Lower the learning rate.", change),) if slower else ()
    if facts.status == "diverged":
        why = f" Reason: {facts.reason}" if facts.reason else ""
        text = f"The loss or the gradients became infinite or NaN, so training was stopped: {TOO_HIGH}.{why}"
        return Finding("serious", "run", "Training diverged", text, try_next=tries)
    if not facts.headline.of_images:
        return None
    classes = len(facts.train_counts)
    row = exploded(facts.history, classes, limits.explosion)
    if row is None:
        return None
    loss, epoch = facts.history[row].get("train_loss"), facts.history[row].get("epoch")
    when = f" in epoch {max(1, round(epoch))}" if epoch is not None else ""
    size = f"was {decimal(loss)}" if loss is not None else "was not finite"
    text = (
        f"The training loss {size}{when}, where guessing among {classes} classes has {decimal(math.log(classes))}, and it "
        f"never came back: {TOO_HIGH}."
    )
    return Finding("serious", "run", "Training diverged", text, try_next=tries)


def too_short(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """A run of so few steps that nothing can be said of its network; only where it does not fit its training images yet."""
    train = facts.main("train")
    poor = train is None or train < limits.train_poor
    if facts.status != "finished" or facts.smoke or not 0 < facts.steps < limits.few_steps or not poor:
        return None
    epochs = facts.number("fit.epochs")
    factor = math.ceil(2.5 * limits.few_steps / facts.steps)
    longer = f"fit.epochs={float(f'{epochs * factor:.2g}'):g}" if epochs else ""
    passes = facts.history[-1].get("epoch") if facts.history else None
    over = f", {decimal(passes, 2)} passes over the training images" if passes is not None else ""
    text = (
        f"It took {plural(facts.steps, 'step')}{over}: far too few to learn the task. Neither the network nor the data can be "
        "blamed before it has trained longer."
    )
    tries = (Try(LONGER, facts.command_with(longer)),) if longer else ()
    return Finding("serious", "time", "It trained too briefly", text, try_next=tries)
