"""Rules about learning, one function a rule: is it better than guessing, does it fit, does it carry over?"""

from __future__ import annotations

from sightline.evaluation.intervals import wilson
from sightline.reports.finding import Facts, Finding, Severity, Try
from sightline.reports.thresholds import Thresholds
from sightline.reports.wording import percent, percent_range, points, quoted

SPLIT_WORDS = {"train": "training", "val": "validation", "test": "test"}

LONGER = "Train longer."
TINY_RATE = 1e-4  # below which nothing learned means too small steps rather than too large ones


def split_word(split: str) -> str:
    """ "val" → "validation"."""
    return SPLIT_WORDS.get(split, split)


def headline_interval(facts: Facts, limits: Thresholds) -> tuple[float, float] | None:
    """The judged headline's interval; of a share of images Wilson's where the judgement gave none."""
    value = facts.value
    if value is None:
        return None
    return facts.interval or (wilson(value, facts.n, limits.z) if facts.headline.of_images else None)


def result(facts: Facts, limits: Thresholds) -> Finding | None:
    """How good, with interval, against always saying the commonest class."""
    accuracy, interval = facts.value, headline_interval(facts, limits)
    if accuracy is None or interval is None or not facts.headline.of_images:
        return None
    where = f"{facts.n:,} {split_word(facts.split)} images"
    figures = f"{percent(accuracy, facts.n)} (95 % interval {percent_range(*interval, facts.n)}) of {where}"
    if facts.majority is None:
        return Finding("note", "result", f"Right on {percent(accuracy, facts.n)}", f"It is right on {figures}.")
    name, share = facts.majority
    against = f"Always saying {quoted(name)} would be right on {percent(share, facts.n)}."
    if share == 1.0:
        sentence = (
            f"It is right on {figures}. All are of the class {quoted(name)}: always saying so would be right too."
        )
        return Finding("warning", "result", "It was judged on one class only", sentence)
    if interval[0] <= share and accuracy == 1.0:
        sentence = f"It is right on {figures}. {against} So few images cannot tell the two apart."
        return Finding("note", "result", "Nothing is wrong, but so few images say little", sentence)
    if guesses(facts, limits):
        than = "That is better." if interval[1] < share else "The difference is within chance."
        sentence = f"It is right on {figures}. {against} {than}"
        return Finding("serious", "result", "No better than guessing", sentence, try_next=by_heart(facts))
    gone = 1 - (1 - accuracy) / (1 - share)
    sentence = f"{against} Of the errors of such guessing {percent(gone, facts.n)} are gone."
    return Finding("good", "result", "It has learned", sentence, f"It is right on {figures}.")


def guesses(facts: Facts, limits: Thresholds) -> bool:
    """Whether it is no better, beyond chance, than always saying the commonest class."""
    interval = headline_interval(facts, limits)
    if interval is None or facts.majority is None or not facts.headline.of_images:
        return False
    return interval[0] <= facts.majority[1] < 1.0 and facts.value != 1.0


def by_heart(facts: Facts) -> tuple[Try, ...]:
    """What to try where nothing was learned."""
    more = Try("First make it learn a few images by heart; if it cannot, the labels or the settings are wrong.")
    rate = facts.number("optim.lr")
    tiny = rate is not None and rate < TINY_RATE
    other = scaled(facts, "optim.lr", 10 if tiny else 1 / 3)
    words = "Take larger steps." if tiny else "Train more slowly."
    return (more, *((Try(words, facts.again(other)),) if other else ()))


def fit_quality(facts: Facts, limits: Thresholds) -> list[Finding]:
    """Bias and variance from the headline of training and validation, the larger one first."""
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
        told = val is not None and noise is not None and not guesses(facts, limits)
        return [_balanced(facts, gap, noise or 0.0, limits, evidence)] if told else []
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


def _under_fit(facts: Facts, train: float, limits: Thresholds, evidence: str) -> Finding:
    longer = scaled(facts, "fit.epochs", 2)
    steps = facts.headline.of_images and not guesses(facts, limits)  # of what guesses `by_heart` says it
    faster = scaled(facts, "optim.lr", 3) if steps else ""
    tries = [Try(LONGER, facts.again(longer))] if longer else []
    tries += [Try("Take larger steps.", facts.again(faster))] if faster else []
    larger = "" if facts.headline.of_images else larger_input(facts)
    tries += [Try("Show it larger images.", facts.again(larger))] if larger else []
    if facts.setting("augment.preset") == "standard":
        tries.append(Try("Make the training images less hard.", facts.again("augment.preset=light")))
    tries.append(Try("Take a larger network; this lists them.", "sightline models"))
    if facts.headline.of_images:
        wrong = f"It is wrong on {percent(1 - train, facts.sizes.get('train'))} of the images that it learned from."
    else:
        name = f"{facts.headline.article} {facts.headline.name}"
        wrong = f"Even on images that it learned from it reaches only {name} of {facts.headline.figure(train)}."
    sentence = f"{wrong} More data will not help before the network can fit what it has."
    severity: Severity = "serious" if train < limits.train_poor - 0.15 else "warning"
    return Finding(severity, "bias", "Under-fitting", sentence, evidence, tuple(tries))


def _balanced(facts: Facts, gap: float, noise: float, limits: Thresholds, evidence: str) -> Finding:
    apart = f"Training and validation {facts.headline.name} are {points(gap)} apart"
    if -gap > max(limits.gap, noise):
        sentence = f"{apart}, beyond chance, and validation is ahead: its images are easier than those of training."
        return Finding("note", "variance", "Validation is easier than training", sentence, evidence)
    if noise > max(limits.gap, abs(gap)):
        sentence = f"{apart}. With so few images chance alone may put them {points(noise)} apart."
        return Finding("note", "variance", "Too few images to see whether it over-fits", sentence, evidence)
    known = "small, though beyond chance" if abs(gap) > noise else "within chance"
    return Finding("good", "variance", "It fits, and what it learned carries over", f"{apart}: {known}.", evidence)


def scaled(facts: Facts, key: str, factor: float) -> str:
    """`key=value · factor`, whole numbers but rates staying whole and at least 1; "" when the recipe has no such number."""
    value = facts.number(key)
    if value is None or value <= 0:
        return ""
    scaled = value * factor
    if value == round(value) and key != "optim.lr":
        return f"{key}={max(1, round(scaled))}"
    return f"{key}={float(f'{scaled:.1g}'):g}"


def larger_input(facts: Facts) -> str:
    """`input.size=… input.width=…` half as large again, in multiples of 32; "" where the recipe does not say."""
    height, width = facts.number("input.size"), facts.number("input.width")
    if not height or not width:
        return ""
    size, across = (round(side * 1.5 / 32) * 32 for side in (height, width))
    return f"input.size={max(size, 32)} input.width={max(across, 32)}"
