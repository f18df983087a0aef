"""Rules about learning, one function each: is the model better than guessing, does it fit, does it generalise?"""

from __future__ import annotations

from sightline.evaluation.intervals import wilson
from sightline.reports.finding import Finding, Severity, Try, VerdictFacts
from sightline.reports.thresholds import Thresholds
from sightline.reports.wording import percent, percent_range, points, quote

from .steps import LONGER, too_short

SPLIT_WORDS = {"train": "training", "val": "validation", "test": "test"}

LARGER = "Use a larger network; this command lists them."
UNDERFITTING = "Underfitting"
OVERFITTING = "Overfitting"
TINY_RATE = 1e-4  # below this rate, a model that learned nothing needs larger steps, not smaller ones


def split_word(split: str) -> str:
    """ "val" → "validation"."""
    return SPLIT_WORDS.get(split, split)


def headline_interval(facts: VerdictFacts, limits: Thresholds) -> tuple[float, float] | None:
    """The interval of the headline; for a share of images Wilson's if the bootstrap gave none."""
    value = facts.value
    if value is None:
        return None
    return facts.interval or (wilson(value, facts.n, limits.z) if facts.headline.of_images else None)


def result(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """How good it is, with an interval, compared with always predicting the most common class."""
    accuracy, interval = facts.value, headline_interval(facts, limits)
    if accuracy is None or interval is None or not facts.headline.of_images:
        return None
    where = f"{facts.n:,} {split_word(facts.split)} images"
    figures = f"{percent(accuracy, facts.n)} (95 % interval {percent_range(*interval, facts.n)}) of {where}"
    if facts.majority is None:
        return Finding("note", "result", f"Right on {percent(accuracy, facts.n)}", f"It is right on {figures}.")
    name, share = facts.majority
    against = f"Always predicting {quote(name)} would be right on {percent(share, facts.n)}."
    if share == 1.0:
        sentence = f"It is right on {figures}. All are {quote(name)}, so always predicting it would be just as good."
        return Finding("warning", "result", "It was evaluated on one class only", sentence)
    if interval[0] <= share and accuracy == 1.0:
        sentence = f"It is right on {figures}. {against} These are too few images to tell the two apart."
        return Finding("note", "result", "No mistakes, but too few images to tell", sentence)
    if not above_majority(facts, limits):
        than = "That is better." if interval[1] < share else "The difference is within chance."
        return _not_above(facts, limits, f"It is right on {figures}. {against} {than}")
    fewer = 1 - (1 - accuracy) / (1 - share)
    sentence = f"{against} The model makes {percent(fewer, facts.n)} fewer errors than that."
    return Finding("good", "result", "It has learned", sentence, f"It is right on {figures}.")


def _not_above(facts: VerdictFacts, limits: Thresholds, sentence: str) -> Finding:
    """A model that is not above the most common class: it may have learned all the same, or predict one class only."""
    name = quote(facts.majority[0]) if facts.majority is not None else ""
    skill = facts.skill
    if has_learned(facts, limits) and skill is not None:
        measures = [("MCC", skill.mcc, 0), ("AUC", skill.auc, 0.5)]
        known = " and ".join(
            f"{word} {value:.2f} ({by:g} by chance)" for word, value, by in measures if value is not None
        )
        sentence += f" But its answers follow the labels more than chance explains: {known}."
        evidence = f"Permuted labels do as well in {percent(skill.p)} of cases."
        return Finding(
            "warning", "result", f"Not above always predicting {name}, but it has learned", sentence, evidence
        )
    tries = if_nothing_learned(facts, limits)
    if facts.only_answer:
        title = f"It predicts {quote(facts.only_answer)} for every image"
        return Finding("serious", "result", title, sentence, try_next=(*_balance(facts), *tries))
    return Finding("serious", "result", "No better than guessing", sentence, try_next=tries)


def _balance(facts: VerdictFacts) -> tuple[Try, ...]:
    """Sampling every class equally often, where the classes differ in size."""
    counts = [n for n in facts.train_counts.values() if n > 0]
    if len(counts) < 2 or max(counts) < 2 * min(counts) or facts.setting("data.balance") == "sample":
        return ()
    return (Try("Sample every class equally often.", facts.command_with("data.balance=sample")),)


def above_majority(facts: VerdictFacts, limits: Thresholds) -> bool:
    """Whether the accuracy is significantly above always predicting the most common class; True where that is unknown."""
    interval = headline_interval(facts, limits)
    if interval is None or facts.majority is None or not facts.headline.of_images:
        return True
    return not (interval[0] <= facts.majority[1] < 1.0 and facts.value != 1.0)


def has_learned(facts: VerdictFacts, limits: Thresholds) -> bool:
    """Whether its answers or their ranking follow the labels more than chance explains, whatever the accuracy."""
    return facts.skill is not None and facts.skill.p < limits.skill


def only_guesses(facts: VerdictFacts, limits: Thresholds) -> bool:
    """Whether nothing shows that it has learned: neither accuracy nor the measures that are corrected for chance."""
    return not above_majority(facts, limits) and not has_learned(facts, limits)


def if_nothing_learned(facts: VerdictFacts, limits: Thresholds) -> tuple[Try, ...]:
    """What to try if nothing was learned."""
    if too_short(facts, limits) is not None or _fits_training(facts, limits):
        return ()  # another finding says what to do
    more = Try("First overfit a few images; if that fails, the labels or the settings are wrong.")
    rate = facts.number("optim.lr")
    tiny = rate is not None and rate < TINY_RATE
    other = scale_setting(facts, "optim.lr", 10 if tiny else 1 / 3)
    words = "Raise the learning rate." if tiny else "Lower the learning rate."
    return (more, *((Try(words, facts.command_with(other)),) if other else ()))


def _fits_training(facts: VerdictFacts, limits: Thresholds) -> bool:
    """Whether it does better than guessing on the training images at least: then it overfits, and its steps are sound."""
    train, n = facts.main("train"), facts.sizes.get("train", 0)
    if train is None or not n or facts.majority is None or not facts.headline.of_images:
        return False
    return wilson(train, n, limits.z)[0] > max(facts.majority[1], facts.value or 0.0) + limits.gap


def fit_quality(facts: VerdictFacts, limits: Thresholds) -> list[Finding]:
    """Bias and variance from the headline on training and validation images, the larger one first."""
    train, val = facts.main("train"), facts.main("val")
    if train is None:
        return []
    figure = facts.headline.figure
    figures = [f"training {figure(train, facts.sizes.get('train'))}"]
    if val is not None:
        figures.append(f"validation {figure(val, facts.sizes.get('val'))}")
    evidence = f"{facts.headline.title}: {', '.join(figures)}."
    gap = train - val if val is not None else 0.0
    noise = facts.noise("train", "val", limits.z)
    over = _over_fit(facts, gap, evidence) if noise is not None and gap > max(limits.gap, noise) else None
    under = _under_fit(facts, train, limits, evidence) if train < limits.train_poor else None
    if over is None and under is None:
        comparable = val is not None and noise is not None and not only_guesses(facts, limits)
        return [_balanced(facts, gap, noise or 0.0, limits, evidence)] if comparable else []
    order = [over, under] if gap >= 1 - train else [under, over]
    return [finding for finding in order if finding is not None]


def _over_fit(facts: VerdictFacts, gap: float, evidence: str) -> Finding:
    decay = facts.number("optim.weight_decay") or 0.001
    stronger = {"none": "light", "light": "standard"}.get(str(facts.setting("augment.preset")))
    tries = [Try("Augment more.", facts.command_with(f"augment.preset={stronger}"))] if stronger else []
    tries.append(Try("Increase weight decay.", facts.command_with(f"optim.weight_decay={decay * 10:g}")))
    tries.append(Try("Label more images, above all of the classes that it confuses: that helps more than any setting."))
    sentence = (
        f"It does {points(gap)} better on training images than on unseen images: it has learned details that do not "
        "generalise."
    )
    return Finding("serious" if gap > 0.1 else "warning", "variance", OVERFITTING, sentence, evidence, tuple(tries))


def _under_fit(facts: VerdictFacts, train: float, limits: Thresholds, evidence: str) -> Finding:
    longer = scale_setting(facts, "fit.epochs", 2)
    # if it only guesses, `if_nothing_learned` advises on the learning rate
    steps = facts.headline.of_images and not only_guesses(facts, limits)
    faster = scale_setting(facts, "optim.lr", 3) if steps else ""
    tries = [Try(LONGER, facts.command_with(longer))] if longer else []
    tries += [Try("Raise the learning rate.", facts.command_with(faster))] if faster else []
    larger = "" if facts.headline.of_images else larger_input(facts)
    tries += [Try("Use larger images.", facts.command_with(larger))] if larger else []
    if facts.setting("augment.preset") == "standard":
        tries.append(Try("Augment less.", facts.command_with("augment.preset=light")))
    tries.append(Try(LARGER, "sightline models"))
    if facts.headline.of_images:
        wrong = f"It is wrong on {percent(1 - train, facts.sizes.get('train'))} of the training images."
    else:
        name = f"{facts.headline.article} {facts.headline.name}"
        wrong = f"Even on training images it reaches only {name} of {facts.headline.figure(train)}."
    sentence = f"{wrong} More data will not help until the network can fit these."
    severity: Severity = "serious" if train < limits.train_poor - 0.15 else "warning"
    return Finding(severity, "bias", UNDERFITTING, sentence, evidence, tuple(tries))


def _balanced(facts: VerdictFacts, gap: float, noise: float, limits: Thresholds, evidence: str) -> Finding:
    apart = f"Training and validation {facts.headline.name} are {points(gap)} apart"
    if -gap > max(limits.gap, noise):
        sentence = f"{apart}, more than chance explains, with validation ahead: its images are easier than the training images."
        return Finding("note", "variance", "Validation images are easier than training images", sentence, evidence)
    if noise > max(limits.gap, abs(gap)):
        sentence = f"{apart}. With so few images, chance alone can put them {points(noise)} apart."
        return Finding("note", "variance", "Too few images to see whether it overfits", sentence, evidence)
    known = "small, although more than chance" if abs(gap) > noise else "within chance"
    return Finding("good", "variance", "It fits and generalises", f"{apart}: {known}.", evidence)


def scale_setting(facts: VerdictFacts, key: str, factor: float) -> str:
    """`key=value · factor`; whole numbers other than rates stay whole and at least 1. "" if the recipe has no such number."""
    value = facts.number(key)
    if value is None or value <= 0:
        return ""
    new = value * factor
    if value == round(value) and key != "optim.lr":
        return f"{key}={max(1, round(new))}"
    return f"{key}={float(f'{new:.1g}'):g}"


def larger_input(facts: VerdictFacts) -> str:
    """`input.size=… input.width=…`, 1.5 times as large, in multiples of 32; "" if the recipe has no size."""
    height, width = facts.number("input.size"), facts.number("input.width")
    if not height or not width:
        return ""
    size, across = (round(side * 1.5 / 32) * 32 for side in (height, width))
    return f"input.size={max(size, 32)} input.width={max(across, 32)}"
