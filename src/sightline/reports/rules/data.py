"""Rules about the run and its data, one function each: can the figures be trusted, and is the data the limit?"""

from __future__ import annotations

import math
from collections.abc import Mapping

from sightline.reports.finding import ClassFact, Finding, Severity, Try, VerdictFacts, chance
from sightline.reports.thresholds import Thresholds
from sightline.reports.wording import decimal, join_words, percent, plural, points, quote

from .learning import above_majority, headline_interval, only_guesses, split_word


def quarantine(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """Files that could not be used. Above the threshold, this finding comes first."""
    if not facts.quarantined or not facts.files:
        return None
    share = facts.quarantined / facts.files
    sentence = f"{plural(facts.quarantined, 'file')} of {facts.files:,} could not be used ({percent(share)})."
    tries = (Try("Look up in the data section below what is wrong with each file and how to fix it."),)
    if share > limits.quarantined:
        more = " The remaining files may not be representative; fix the others before you trust any metric below."
        return Finding("serious", "data", "Many files could not be used", sentence + more, try_next=tries)
    return Finding("note", "data", "Some files could not be used", sentence, try_next=tries)


def leaks(facts: VerdictFacts, _: Thresholds) -> Finding | None:
    """Images that are in two splits, because of data.leaks=keep."""
    if not facts.leaks:
        return None
    text = (
        f"{plural(facts.leaks, 'image')} of one split {'has an exact copy' if facts.leaks == 1 else 'have exact copies'} in "
        "another split, and both were kept. On these, the test measures memorisation, so the metrics below are "
        "too good."
    )
    tries = (Try("Remove the copies from training.", facts.command_with("data.leaks=drop")),)
    title = "It was evaluated on images that it was trained on"
    return Finding("serious", "data", title, text, try_next=tries, limit="a leak: test images that it was trained on")


def completion(facts: VerdictFacts, _: Thresholds) -> Finding | None:
    """A run that did not finish normally: failed, stopped, still running, or a rehearsal."""
    why = f" Reason: {facts.reason}" if facts.reason else ""
    if facts.status not in ("finished", "diverged"):
        text = f"This report shows the state so far.{why}"
        title = "This run has not ended yet" if facts.status == "running" else "This run did not finish"
        return Finding("serious", "run", title, text, try_next=(Try("Resume it.", facts.resume),))
    if facts.smoke:
        text = (
            "It went through every stage with at most 64 images a split and 2 steps, on small inputs where answers are pixels "
            "or boxes. Its metrics say nothing about the model."
        )
        return Finding("serious", "run", "This is a rehearsal", text, try_next=(Try("Train for real.", facts.command),))
    return None


def labels(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """Signs of wrong labels: identical images with different labels, and confident mistakes."""
    signs = []
    if facts.conflicts:
        signs.append(f"{plural(facts.conflicts, 'image occurs', 'images occur')} with more than one label")
    share = facts.confident_mistakes / facts.mistakes if facts.mistakes else 0.0
    if facts.confident_mistakes >= limits.confident_mistakes and share >= limits.confident_share:
        mistakes = f"{facts.confident_mistakes:,} of {plural(facts.mistakes, 'mistake')}"
        verb = "was" if facts.confident_mistakes == 1 else "were"
        signs.append(f"{mistakes} {verb} made with a probability of {percent(limits.confident, 10)} or more")
    blind = _blind(facts, limits)
    if blind:
        signs.append("its mistakes are made with as much confidence as its right answers")
    scattered = _scattered(facts, limits)
    if scattered is not None:
        signs.append("the labels of its confident mistakes are not those of similar classes, but any")
    if not signs:
        return None
    text = (
        f"{join_words(signs)}. Either these labels are wrong, or the images do not show what distinguishes the classes."
    )
    sentence = text[0].upper() + text[1:]
    tries = (Try("Check the worst mistakes below one by one; correct the labels in the data, then train again."),)
    severity: Severity = "warning" if facts.conflicts or blind or scattered is not None else "note"
    evidence = (
        f"Confidence tells right from wrong answers with an AUC of {blind:.2f}; 0.5 is not at all." if blind else ""
    )
    if scattered is not None:
        evidence += (
            f"{' ' if evidence else ''}Place of the label among the other classes: {scattered:.2f}; 0.5 is random."
        )
    return Finding(
        severity, "noise", "Some labels may be wrong", sentence, evidence, try_next=tries, limit="label noise"
    )


def _blind(facts: VerdictFacts, limits: Thresholds) -> float | None:
    """The AUC of confidence for right against wrong answers, if it is about 0.5 although the classes were learned. Where an
    image is hard or the network too small, mistakes are less confident; where the label is wrong, the answer is as clear as
    any other."""
    if facts.separation is None or facts.mistakes < limits.blind_mistakes or not above_majority(facts, limits):
        return None
    auc, error = facts.separation
    return auc if auc < limits.blind and abs(auc - 0.5) < 2 * limits.z * error else None


def _scattered(facts: VerdictFacts, limits: Thresholds) -> float | None:
    """The mean place of the label among the classes that confident mistakes did not predict, if it is that of random labels.
    Not where the test images are unlike the validation images: there its answers may be the random ones."""
    if facts.scatter is None or not above_majority(facts, limits) or untested(facts, limits) is not None:
        return None
    place, n = facts.scatter
    error = math.sqrt(1 / 12 / max(n, 1))  # of a mean of uniform numbers
    near = 0.5 - place < limits.z * error + 0.05
    return place if n >= limits.blind_mistakes and place >= limits.scattered and near else None


def weak_classes(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """Classes that do significantly worse than the whole."""
    weak = find_weak_classes(facts, limits)
    if not weak:
        return None
    names = [f"{quote(c.name)} ({_how_well(facts, c)})" for c in weak[:3]]
    more = f" and {len(weak) - 3} more" if len(weak) > 3 else ""
    worst = weak[0]
    evidence = (
        f"{quote(worst.name)} is most often confused with {quote(worst.confused_with)} ({_how_often(facts, worst)})."
    )
    sentence = f"Significantly worse than the rest: {join_words(names) if not more else ', '.join(names) + more}."
    tries = (Try(f"Collect and check images of {join_words([quote(c.name) for c in weak[:3]])}."),)
    return Finding("warning", "data", "Some classes are hard", sentence, evidence if worst.confusions else "", tries)


def find_weak_classes(facts: VerdictFacts, limits: Thresholds) -> list[ClassFact]:
    """The classes whose interval lies entirely below that of the whole, weakest first."""
    interval = headline_interval(facts, limits)
    if interval is None:
        return []
    return sorted((c for c in facts.classes if c.n and c.high < interval[0]), key=lambda c: c.value)


def _how_well(facts: VerdictFacts, c: ClassFact) -> str:
    if facts.headline.of_images:
        return f"recall {percent(c.value, c.n)}, n = {c.n:,}"
    name = facts.headline.name.removeprefix("mean ")
    return f"{name} {facts.headline.figure(c.value)}, {facts.headline.span(c.low, c.high)}"


def _how_often(facts: VerdictFacts, c: ClassFact) -> str:
    return plural(c.confusions, "time") if facts.headline.of_images else f"{percent(c.confusions / c.n)} of its pixels"


def imbalance(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """Imbalanced classes: harmless unless the rare ones do worse."""
    present = {name: n for name, n in facts.train_counts.items() if n > 0}
    if len(present) < 2 or not facts.headline.of_images:
        return None
    rare, common = min(present, key=present.__getitem__), max(present, key=present.__getitem__)
    ratio = present[common] / present[rare]
    if ratio < limits.imbalance:
        return None
    balanced, plain = facts.metric(facts.split, "balanced_accuracy"), facts.metric(facts.split, "accuracy")
    hurts = balanced is not None and plain is not None and plain - balanced > limits.gap
    hurts = hurts or _rare_are_worse(facts, present, limits)
    sentence = (
        f"There are {ratio:.0f} times as many training images of {quote(common)} ({present[common]:,}) as of "
        f"{quote(rare)} ({present[rare]:,})."
    )
    evidence = ""
    if balanced is not None and plain is not None:
        evidence = f"Accuracy {percent(plain, facts.n)}; balanced accuracy {percent(balanced, facts.n)}."
    tries: tuple[Try, ...] = (Try(f"Collect more images of {quote(rare)}."),)
    if facts.setting("data.balance") != "sample" and facts.setting("task.class_weight") != "balanced":
        tries = (
            Try("Sample every class equally often.", facts.command_with("data.balance=sample")),
            Try("Or weigh every class equally in the loss.", facts.command_with("task.class_weight=balanced")),
            *tries,
        )
    title = "Rare classes do worse" if hurts else "Classes are imbalanced, so far without harm"
    limit = f"class imbalance: {quote(rare)} has {present[rare]:,} training images" if hurts else ""
    return Finding("warning" if hurts else "note", "data", title, sentence, evidence, tries if hurts else (), limit)


def _rare_are_worse(facts: VerdictFacts, present: Mapping[str, int], limits: Thresholds) -> bool:
    """Whether classes with a fifth of the most common one's training images or fewer have a lower recall than the others, by
    more than chance: in a balanced test split, accuracy and balanced accuracy say nothing of it."""
    most = max(present.values())
    groups: dict[bool, list[ClassFact]] = {True: [], False: []}
    for c in facts.classes:
        if c.name in present:
            groups[present[c.name] * limits.imbalance <= most].append(c)
    sizes = {rare: sum(c.n for c in group) for rare, group in groups.items()}
    if not all(sizes.values()):
        return False
    rare, common = (sum(c.value * c.n for c in groups[key]) / sizes[key] for key in (True, False))
    return common - rare > max(limits.gap, chance(common, sizes[False], rare, sizes[True], limits.z))


def test_size(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """An interval that is too wide for decisions, and how many images would suffice."""
    value, interval = facts.value, headline_interval(facts, limits)
    dense = facts.pixels is not None or facts.objects is not None
    if value is not None and interval is None and dense:
        images = plural(facts.n, f"{split_word(facts.split)} image")
        text = f"{images} are too few for an interval of the {facts.headline.name}, or too few of them show one of the classes."
        return Finding("warning", "result", "This metric has no confidence interval", text)
    if value is None or interval is None or interval[1] - interval[0] <= limits.interval:
        return None
    if facts.headline.of_images:
        p = min(max(value, 0.05), 0.95)
        enough = math.ceil(p * (1 - p) * (2 * limits.z / limits.interval) ** 2)
    else:
        enough = math.ceil(facts.n * ((interval[1] - interval[0]) / limits.interval) ** 2)
    word = split_word(facts.split)
    sentence = (
        f"With {plural(facts.n, word + ' image')} the 95 % interval of the {facts.headline.name} is "
        f"{facts.headline.span(*interval, facts.n)}: only large effects of a change can be told from chance."
    )
    tries = (
        Try(f"About {_round_up(enough)} {word} images would narrow the interval to {points(limits.interval, 1)}."),
    )
    return Finding("warning", "result", f"Few {word} images", sentence, try_next=tries)


def _round_up(count: int) -> str:
    """Rounded up to two significant digits: nobody collects exactly 137 images."""
    unit = 10 ** max(0, len(str(count)) - 2)
    return f"{math.ceil(count / unit) * unit:,}"


def untested(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """The weights are selected on validation images, so those metrics are optimistic; the test split shows by how much."""
    val, test = facts.main("val"), facts.main("test")
    if val is None:
        return None
    if test is None:
        if facts.status != "finished" or facts.smoke:
            return None
        text = (
            "The weights were selected on the validation images that these metrics come from, so they are optimistic."
        )
        return Finding("note", "result", "There is no test split", text)
    noise = facts.noise("val", "test", limits.z)
    if noise is None or val - test <= max(limits.gap, noise) or only_guesses(facts, limits):
        return None
    name = facts.headline.name
    text = f"Its {name} is {points(val - test)} lower on test than on validation images, more than chance explains."
    figures = [facts.headline.figure(val, facts.sizes.get("val")), facts.headline.figure(test, facts.n)]
    evidence = f"{facts.headline.title}: validation {figures[0]}, test {figures[1]}."
    tries = (Try("Check whether the test images have a different origin: another camera, day, person or site."),)
    limit = "a shift between training and test images"
    if facts.diagnosis is not None and facts.diagnosis.split == "test" and facts.diagnosis.shifts:
        shift = facts.diagnosis.shifts[0]
        evidence += f" Median {shift.column}: training {decimal(shift.train)}, test {decimal(shift.value)}."
        limit += f" in {shift.column}"
    return Finding("warning", "data", "The test images are harder", text, evidence, tries, limit)


def calibration(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """Are its probabilities calibrated?"""
    ece, accuracy = facts.metric(facts.split, "ece"), facts.metric(facts.split, "accuracy")
    if ece is None or accuracy is None or facts.ece_by_chance is None or only_guesses(facts, limits):
        return None
    if ece <= max(limits.ece, facts.ece_by_chance):
        return None
    evidence = f"Expected calibration error {decimal(ece)}; chance alone explains up to {decimal(facts.ece_by_chance)}."
    side = "It is not calibrated"
    if facts.confidence is not None:
        side = "It is overconfident" if facts.confidence > accuracy else "It is underconfident"
        evidence += f" Mean probability {percent(facts.confidence)}, accuracy {percent(accuracy, facts.n)}."
    text = f"{side}: do not set thresholds on its probabilities without calibrating them."
    soften = "over" in side and not facts.number("task.label_smoothing") and facts.setting("task.loss") != "hinge"
    tries = (Try("Smooth the labels.", facts.command_with("task.label_smoothing=0.1")),) if soften else ()
    scaled = facts.diagnosis.temperature if facts.diagnosis is not None else None
    if scaled is not None and scaled.ece_change[1] < 0 and scaled.nll_change[1] < 0:
        evidence += (
            f" Dividing its scores by {decimal(scaled.temperature)} would lower the error to {decimal(scaled.ece[1])}."
        )
    return Finding("warning", "confidence", "Probabilities are not calibrated", text, evidence, tries)


def near_perfect(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """Results that are suspiciously good."""
    value = facts.value
    if value is None or value < limits.near_perfect or only_guesses(facts, limits):
        return None
    exact = (
        "Some training images are also in the evaluated split; near-duplicates"
        if facts.leaks
        else ("Exact duplicates cannot be in two splits; near-duplicates")
    )
    text = (
        f"{facts.headline.figure(value, facts.n)} leaves little room to improve. {exact} (frames of one video, crops "
        f"of one slide, photographs of one object) can be{' too' if facts.leaks else ''}."
    )
    tries = (Try("If one object, person or site has several images, split by it, not by image."),)
    return Finding("note", "result", "Nearly perfect: is the test as hard as real use?", text, try_next=tries)
