"""Rules about the run and its data: can the figures be believed, and is the data the limit? One function a rule."""

from __future__ import annotations

import math

from sightline.reports.finding import ClassFact, Facts, Finding, Severity, Try
from sightline.reports.thresholds import Thresholds
from sightline.reports.wording import counted, decimal, listed, percent, points, quoted

from .learning import guesses, headline_interval, split_word


def quarantine(facts: Facts, limits: Thresholds) -> Finding | None:
    """Files that could not be used: above the threshold nothing else may come before it."""
    if not facts.quarantined or not facts.files:
        return None
    share = facts.quarantined / facts.files
    sentence = f"{counted(facts.quarantined, 'file')} of {facts.files:,} could not be used ({percent(share)})."
    tries = (Try("The data card below names each file with its reason and the way to mend it."),)
    if share > limits.quarantined:
        more = " What is left may not stand for what you have; mend them before you trust any figure below."
        return Finding("serious", "data", "Many files could not be used", sentence + more, try_next=tries)
    return Finding("note", "data", "Some files could not be used", sentence, try_next=tries)


def leaks(facts: Facts, _: Thresholds) -> Finding | None:
    """Images that were trained on and judged with, because the user said so."""
    if not facts.leaks:
        return None
    text = (
        f"{counted(facts.leaks, 'image')} of one split {'is' if facts.leaks == 1 else 'are'} also in another, equal in every "
        "pixel, and were kept in both. What is measured on them is memory; the figures below are too good by that."
    )
    tries = (Try("Take the copies out of training.", facts.again("data.leaks=drop")),)
    return Finding("serious", "data", "It was judged on images that it was trained on", text, try_next=tries)


def completion(facts: Facts, _: Thresholds) -> Finding | None:
    """A run that is not what it was meant to be: diverged, stopped, running, or only a rehearsal."""
    why = f" Reason given: {facts.reason}" if facts.reason else ""
    if facts.status == "diverged":
        rate = facts.number("optim.lr")
        slower = (Try("Take smaller steps.", facts.again(f"optim.lr={float(f'{rate / 10:.1g}'):g}")),) if rate else ()
        text = f"The loss or the weights became infinite or undefined, so training was ended.{why}"
        return Finding("serious", "run", "Training diverged", text, try_next=slower)
    if facts.status != "finished":
        text = f"What follows is the state so far.{why}"
        title = "This run is still going" if facts.status == "running" else "This run did not finish"
        return Finding("serious", "run", title, text, try_next=(Try("Go on from where it is.", facts.resume),))
    if facts.smoke:
        text = "It went through every stage with 64 samples and 2 steps. Its figures say nothing about the model."
        return Finding("serious", "run", "This is a rehearsal", text, try_next=(Try("Train it.", facts.command),))
    return None


def labels(facts: Facts, limits: Thresholds) -> Finding | None:
    """Signs of wrong labels: equal pictures with different labels, mistakes made with confidence."""
    signs = []
    if facts.conflicts:
        signs.append(f"{counted(facts.conflicts, 'picture occurs', 'pictures occur')} with more than one label")
    share = facts.sure_mistakes / facts.mistakes if facts.mistakes else 0.0
    if facts.sure_mistakes >= limits.sure_mistakes and share >= limits.sure_share:
        sure = f"{facts.sure_mistakes:,} of {counted(facts.mistakes, 'mistake')}"
        verb = "was" if facts.sure_mistakes == 1 else "were"
        signs.append(f"{sure} {verb} made with a probability of {percent(limits.sure, 10)} or more")
    if not signs:
        return None
    text = f"{listed(signs)}. Either these labels are wrong, or the pictures do not show what decides."
    sentence = text[0].upper() + text[1:]
    tries = (Try("Look at the worst mistakes below one by one; mend labels in the data, then train again."),)
    severity: Severity = "warning" if facts.conflicts else "note"
    return Finding(severity, "noise", "Some labels may be wrong", sentence, try_next=tries)


def weak_classes(facts: Facts, limits: Thresholds) -> Finding | None:
    """Classes that are recognised worse than the whole, beyond chance."""
    weak = weak_of(facts, limits)
    if not weak:
        return None
    names = [f"{quoted(c.name)} ({_how_well(facts, c)})" for c in weak[:3]]
    more = f" and {len(weak) - 3} more" if len(weak) > 3 else ""
    worst = weak[0]
    taken = f"{quoted(worst.name)} is mostly taken for {quoted(worst.taken_for)} ({_how_often(facts, worst)})."
    sentence = f"Worse than the rest, beyond chance: {listed(names) if not more else ', '.join(names) + more}."
    tries = (Try(f"Collect and check images of {listed([quoted(c.name) for c in weak[:3]])}."),)
    return Finding("warning", "data", "Some classes are hard", sentence, taken if worst.taken else "", tries)


def weak_of(facts: Facts, limits: Thresholds) -> list[ClassFact]:
    """The classes whose interval lies below that of the whole, weakest first."""
    interval = headline_interval(facts, limits)
    if interval is None:
        return []
    return sorted((c for c in facts.classes if c.n and c.high < interval[0]), key=lambda c: c.value)


def _how_well(facts: Facts, c: ClassFact) -> str:
    if facts.headline.of_images:
        return f"found in {percent(c.value, c.n)} of {c.n:,}"
    name = facts.headline.name.removeprefix("mean ")
    return f"{name} {facts.headline.figure(c.value)}, {facts.headline.span(c.low, c.high)}"


def _how_often(facts: Facts, c: ClassFact) -> str:
    return counted(c.taken, "time") if facts.headline.of_images else f"{percent(c.taken / c.n)} of it"


def imbalance(facts: Facts, limits: Thresholds) -> Finding | None:
    """Unequal classes: harmless until the rare ones pay for it."""
    present = {name: n for name, n in facts.train_counts.items() if n > 0}
    if len(present) < 2 or not facts.headline.of_images:
        return None
    rare, common = min(present, key=present.__getitem__), max(present, key=present.__getitem__)
    ratio = present[common] / present[rare]
    if ratio < limits.imbalance:
        return None
    balanced, plain = facts.metric(facts.split, "balanced_accuracy"), facts.metric(facts.split, "accuracy")
    hurts = balanced is not None and plain is not None and plain - balanced > limits.gap
    sentence = (
        f"There are {ratio:.0f} times as many training images of {quoted(common)} ({present[common]:,}) as of "
        f"{quoted(rare)} ({present[rare]:,})."
    )
    evidence = ""
    if balanced is not None and plain is not None:
        evidence = f"Accuracy {percent(plain, facts.n)}; each class counted alike: {percent(balanced, facts.n)}."
    tries: tuple[Try, ...] = (Try(f"Collect more images of {quoted(rare)}."),)
    if facts.setting("data.balance") != "sample" and facts.setting("task.class_weight") != "balanced":
        tries = (
            Try("Draw every class equally often.", facts.again("data.balance=sample")),
            Try("Or let every class weigh the same in the loss.", facts.again("task.class_weight=balanced")),
            *tries,
        )
    title = "Rare classes pay for their rarity" if hurts else "Unequal classes, so far without harm"
    return Finding("warning" if hurts else "note", "data", title, sentence, evidence, tries if hurts else ())


def test_size(facts: Facts, limits: Thresholds) -> Finding | None:
    """An interval too wide to decide by, and how many images would halve it."""
    value, interval = facts.value, headline_interval(facts, limits)
    judged = facts.pixels is not None or facts.objects is not None
    if value is not None and interval is None and judged:
        images = counted(facts.n, f"{split_word(facts.split)} image")
        text = (
            f"{images} cannot tell how far chance moves the {facts.headline.name}: too few, or of some class too few."
        )
        return Finding("warning", "result", "Nobody knows how sure this figure is", text)
    if value is None or interval is None or interval[1] - interval[0] <= limits.interval:
        return None
    if facts.headline.of_images:
        p = min(max(value, 0.05), 0.95)
        wanted = math.ceil(p * (1 - p) * (2 * limits.z / limits.interval) ** 2)
    else:
        wanted = math.ceil(facts.n * ((interval[1] - interval[0]) / limits.interval) ** 2)
    word = split_word(facts.split)
    sentence = (
        f"With {counted(facts.n, word + ' image')} the {facts.headline.name} lies anywhere in "
        f"{facts.headline.span(*interval, facts.n)}: a change of settings has to be large to be told from luck."
    )
    tries = (Try(f"About {_rounded(wanted)} {word} images would bring the interval to {points(limits.interval, 1)}."),)
    return Finding("warning", "result", f"Few {word} images", sentence, try_next=tries)


def _rounded(count: int) -> str:
    """Two significant digits, upwards: nobody collects 137 images."""
    unit = 10 ** max(0, len(str(count)) - 2)
    return f"{math.ceil(count / unit) * unit:,}"


def untested(facts: Facts, limits: Thresholds) -> Finding | None:
    """Validation chose the kept weights, so it flatters them; the test split tells by how much."""
    val, test = facts.main("val"), facts.main("test")
    if val is None:
        return None
    if test is None:
        if facts.status != "finished" or facts.smoke:
            return None
        text = "The kept weights were chosen by the validation images that they are measured on here."
        return Finding("note", "result", "There is no test figure", text)
    noise = facts.noise("val", "test", limits.z)
    if noise is None or val - test <= max(limits.gap, noise) or guesses(facts, limits):
        return None
    text = f"It is right {points(val - test)} less often on test than on validation images, beyond chance."
    if not facts.headline.of_images:
        text = (
            f"Its {facts.headline.name} is {points(val - test)} lower on test than on validation images, beyond chance."
        )
    figures = [facts.headline.figure(val, facts.sizes.get("val")), facts.headline.figure(test, facts.n)]
    evidence = f"{facts.headline.title}: validation {figures[0]}, test {figures[1]}."
    tries = (Try("See whether the test images come from elsewhere: another camera, day, person or site."),)
    return Finding("warning", "data", "The test images are harder", text, evidence, tries)


def calibration(facts: Facts, limits: Thresholds) -> Finding | None:
    """Do its probabilities mean what they say?"""
    ece, accuracy = facts.metric(facts.split, "ece"), facts.metric(facts.split, "accuracy")
    if ece is None or accuracy is None or facts.ece_by_chance is None or guesses(facts, limits):
        return None
    if ece <= max(limits.ece, facts.ece_by_chance):
        return None
    evidence = (
        f"Expected calibration error {decimal(ece)}; by chance it would be {decimal(facts.ece_by_chance)} at most."
    )
    side = "Its probabilities are not what they say"
    if facts.confidence is not None:
        side = "It is surer than it is right" if facts.confidence > accuracy else "It is more often right than it says"
        evidence += f" Mean probability {percent(facts.confidence)}, accuracy {percent(accuracy, facts.n)}."
    text = f"{side}: do not set thresholds on its probabilities as they are."
    soften = "surer" in side and not facts.number("task.label_smoothing") and facts.setting("task.loss") != "hinge"
    tries = (Try("Soften the labels.", facts.again("task.label_smoothing=0.1")),) if soften else ()
    return Finding("warning", "confidence", "Probabilities are off", text, evidence, tries)


def near_perfect(facts: Facts, limits: Thresholds) -> Finding | None:
    """Too good to pass without a question."""
    value = facts.value
    if value is None or value < limits.near_perfect or guesses(facts, limits):
        return None
    exact = (
        "Images that were trained on are among the judged; near copies"
        if facts.leaks
        else ("Exact duplicates cannot be in two splits; near ones")
    )
    text = (
        f"{facts.headline.figure(value, facts.n)} leaves little to measure. {exact} (frames of one video, crops of one slide, "
        f"photographs of one object) can be{' too' if facts.leaks else ''}."
    )
    tries = (Try("Split by the thing photographed, not by the file, where one thing has several images."),)
    return Finding("note", "result", "Nearly perfect: is the test as hard as the use?", text, try_next=tries)
