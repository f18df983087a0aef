"""Rules for pixels and objects only: which classes are confused, which mistakes dominate, are small objects missed?"""

from __future__ import annotations

from sightline.reports.finding import Finding, Severity, Try, VerdictFacts
from sightline.reports.thresholds import DenseThresholds, Thresholds
from sightline.reports.wording import counted, listed, percent, points, quoted

from .data import weak_of
from .learning import headline_interval, if_nothing_learned, larger_input, split_word

_LINES = DenseThresholds()
ERRORS = {
    "class": ("wrong class", "on an object of another class"),
    "localisation": ("badly placed", "right class, overlaps its object by 10 to 50 %"),
    "both": ("wrong class, badly placed", "overlaps an object of another class loosely"),
    "duplicate": ("duplicate", "another box with a higher score has the object"),
    "background": ("nothing there", "overlaps no object by more than 10 %"),
    "missed": ("missed", "an object without any box"),
}


def result(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """How good it is, in words that need no knowledge of the metric."""
    value, interval, headline = facts.value, headline_interval(facts, limits), facts.headline
    if value is None:
        return None
    sure = f" (95 % interval {headline.span(*interval)})" if interval is not None else ""
    where = counted(facts.n, split_word(facts.split) + " image")
    figures = f"{headline.title} {headline.figure(value)}{sure} on {where}: {headline.meaning}."
    if facts.majority is not None:
        name, share = facts.majority
        if share == 1.0:
            text = f"All pixels are {quoted(name)}: always predicting it would be right, too."
            return Finding("warning", "result", "It was evaluated on one class only", text, figures)
        against = f"Predicting {quoted(name)} for every pixel would reach {headline.figure(share)}."
        if (interval[0] if interval is not None else value) <= share:
            text = f"{against} It reaches {headline.figure(value)}: no more than chance explains."
            return Finding("serious", "result", "No better than guessing", text, figures, if_nothing_learned(facts))
        right = facts.metric(facts.split, "pixel_accuracy")
        pixels = f"{percent(right)} of all pixels are right. " if right is not None else ""
        return Finding("good", "result", "It has learned", f"{pixels}{against}", figures)
    if value < _LINES.nothing:
        return Finding(
            "serious", "result", "It finds almost nothing", _found(facts), figures, if_nothing_learned(facts)
        )
    return Finding("good", "result", "It has learned", _found(facts), figures)


def _found(facts: VerdictFacts) -> str:
    """Recall and precision in words, at the best score threshold."""
    objects = facts.objects
    if objects is None or objects.threshold is None or not objects.objects or not objects.shown:
        return "None of its boxes is on an object."
    return (
        f"With boxes from a score of {objects.threshold:.2f} up, it finds {percent(objects.found / objects.objects)} of "
        f"{counted(objects.objects, 'object')}, and {percent(objects.found / objects.shown)} of its "
        f"{counted(objects.shown, 'box', 'boxes')} are right."
    )


def taken_pixels(facts: VerdictFacts, _: Thresholds) -> Finding | None:
    """Classes that lose many pixels to another class."""
    if facts.pixels is None or not facts.pixels.taken:
        return None
    large = [t for t in facts.pixels.taken if t.of_class >= _LINES.taken]
    if not large:
        return None
    shares = [f"{percent(t.of_class)} of {quoted(t.target)} is predicted as {quoted(t.predicted)}" for t in large[:3]]
    worst = large[0]
    sentence = f"{listed(shares)}."
    evidence = (
        f"{quoted(worst.target)} as {quoted(worst.predicted)} makes up {percent(worst.of_wrong)} of all wrong pixels."
    )
    names = quoted(worst.target), quoted(worst.predicted)
    tries = (
        Try(f"Check in the pictures below whether the masks separate {names[0]} and {names[1]} consistently."),
        Try("Weigh every class equally in the loss.", facts.again("task.class_weight=balanced")),
    )
    balanced = facts.setting("task.class_weight") == "balanced"
    return Finding("warning", "data", "Classes are confused", sentence, evidence, tries[:1] if balanced else tries)


def edges(facts: VerdictFacts, _: Thresholds) -> Finding | None:
    """Regions that are right, but with wrong edges."""
    met, iou = facts.metric(facts.split, "boundary_f"), facts.metric(facts.split, "mean_iou")
    if met is None or iou is None or iou - met <= _LINES.boundary:
        return None
    sentence = (
        f"Its regions are better than their edges: mean IoU {percent(iou)}, but a boundary F1 of only {percent(met)}."
    )
    larger = larger_input(facts)
    tries = (Try("Use larger images.", facts.again(larger)),) if larger else ()
    return Finding("note", "bias", "Edges are coarse", sentence, try_next=tries)


def dominating(facts: VerdictFacts, _: Thresholds) -> Finding | None:
    """A kind of mistake that dominates, and what helps against it."""
    if facts.objects is None:
        return None
    errors, total = facts.objects.errors, sum(facts.objects.errors.values())
    if total < _LINES.mistakes:
        return None
    kind = max(errors, key=lambda name: errors[name])
    share = errors[kind] / total
    if share < _LINES.dominating:
        return None
    name, meaning = ERRORS[kind]
    others = [f"{ERRORS[k][0]} {n:,}" for k, n in sorted(errors.items(), key=lambda item: -item[1]) if k != kind and n]
    sentence = f"{percent(share)} of {counted(total, 'mistake')} are of one kind: {name} ({meaning})."
    evidence = f"The others: {', '.join(others)}." if others else ""
    title = _TITLES[kind]
    return Finding("warning", "data", title, sentence, evidence, _against(facts, kind))


_TITLES = {
    "class": "It finds objects but confuses their classes",
    "localisation": "Its boxes are badly placed",
    "both": "Its boxes are of the wrong class and badly placed",
    "duplicate": "It finds objects twice",
    "background": "It sees objects where there are none",
    "missed": "It misses objects",
}


def _against(facts: VerdictFacts, kind: str) -> tuple[Try, ...]:
    larger = larger_input(facts)
    sharper = (Try("Use larger images.", facts.again(larger)),) if larger else ()
    if kind == "duplicate":
        now = facts.number("task.nms_threshold") or 0.5
        lower = f"task.nms_threshold={max(now - 0.15, 0.2):.2g}"
        return (Try("Suppress more overlapping boxes.", facts.again(lower)),) if now > 0.2 else ()
    if kind == "background":
        look = Try("Check in the pictures below whether these are objects without an annotation; if so, annotate them.")
        return (look, Try("Add training images without objects that show what is mistaken for them."))
    if kind in ("class", "both"):
        return (
            Try("Check the labels of the classes that it confuses; collect more images of the rarer one."),
            *sharper,
        )
    return (
        *sharper,
        Try("Check in the pictures below whether the missed objects are small, cut off or hidden behind others."),
    )


def small_objects(facts: VerdictFacts, _: Thresholds) -> Finding | None:
    """Small objects that are found less well than large ones."""
    if facts.objects is None:
        return None
    enough = {name: ap for name, (n, ap) in facts.objects.sizes.items() if n >= _LINES.objects and ap is not None}
    small = next((name for name in ("small", "medium") if name in enough), None)
    large = next((name for name in ("large", "medium") if name in enough), None)
    if small is None or large is None or enough[large] - enough[small] <= _LINES.smaller:
        return None
    sentence = (
        f"The AP of {small} objects is {points(enough[large] - enough[small])} below that of {large} ones "
        f"({percent(enough[small])} against {percent(enough[large])})."
    )
    larger = larger_input(facts)
    tries = (Try("Use larger images.", facts.again(larger)),) if larger else ()
    return Finding("warning", "bias", f"{small.capitalize()} objects are missed", sentence, try_next=tries)


def scarce(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """Classes with few training images: a warning if they do worse, else a note."""
    rare = {name: n for name, n in facts.train_counts.items() if 0 < n < _LINES.scarce}
    if facts.headline.of_images or not rare:
        return None
    weak = {c.name for c in weak_of(facts, limits)} & set(rare)
    named = sorted(weak or rare, key=lambda name: rare[name])[:3]
    shown = listed([f"{quoted(name)} ({counted(rare[name], 'image')})" for name in named])
    severity: Severity = "warning" if weak else "note"
    title = "Rare classes do worse" if weak else "Some classes are rare"
    sentence = f"Few training images show {shown}."
    tries: tuple[Try, ...] = (Try(f"Collect more images that show {listed([quoted(name) for name in named])}."),)
    if facts.pixels is not None and facts.setting("task.class_weight") != "balanced":
        again = facts.again("task.class_weight=balanced")
        tries = (*tries, Try("Weigh every class equally in the loss.", again))
    return Finding(severity, "data", title, sentence, try_next=tries if weak else ())


def unjudged(facts: VerdictFacts, _: Thresholds) -> Finding | None:
    """Boxes of classes that do not occur in the evaluated images, so that no metric counts them."""
    if facts.objects is None or not facts.objects.unjudged:
        return None
    sentence = (
        f"{counted(facts.objects.unjudged, 'box is', 'boxes are')} of classes that occur in none of these images. AP leaves "
        "such classes out, so no figure here counts these boxes."
    )
    return Finding("note", "result", "Some boxes count in no metric", sentence)
