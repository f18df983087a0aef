"""Rules for segmentation and detection only: which classes are confused, which mistakes dominate, are small objects missed?"""

from __future__ import annotations

from sightline.reports.finding import Finding, Severity, Try, VerdictFacts
from sightline.reports.thresholds import DenseThresholds, Thresholds
from sightline.reports.wording import join_words, percent, plural, points, quote

from .data import find_weak_classes
from .learning import headline_interval, if_nothing_learned, larger_input, split_word

_THRESHOLDS = DenseThresholds()
ERRORS = {
    "class": ("wrong class", "IoU of at least 50 % with an object of another class"),
    "localisation": ("poorly localised", "right class, IoU with its object from 10 to 50 %"),
    "both": ("wrong class, poorly localised", "IoU from 10 to 50 % with an object of another class"),
    "duplicate": ("duplicate", "another box with a higher score is matched to the object"),
    "background": ("background", "IoU of at most 10 % with every object"),
    "missed": ("missed", "an object without any box"),
}


def result(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """How good it is, for readers who do not know the metric."""
    value, interval, headline = facts.value, headline_interval(facts, limits), facts.headline
    if value is None:
        return None
    span = f" (95 % interval {headline.span(*interval)})" if interval is not None else ""
    where = plural(facts.n, split_word(facts.split) + " image")
    figures = f"{headline.title} {headline.figure(value)}{span} on {where}: {headline.meaning}."
    if facts.majority is not None:
        name, share = facts.majority
        if share == 1.0:
            text = f"All pixels are {quote(name)}, so always predicting it would be just as good."
            return Finding("warning", "result", "It was evaluated on one class only", text, figures)
        against = f"Predicting {quote(name)} for every pixel would reach {headline.figure(share)}."
        if (interval[0] if interval is not None else value) <= share:
            text = f"{against} It reaches {headline.figure(value)}: no more than chance explains."
            return Finding(
                "serious", "result", "No better than guessing", text, figures, if_nothing_learned(facts, limits)
            )
        right = facts.metric(facts.split, "pixel_accuracy")
        pixels = f"{percent(right)} of all pixels are correct. " if right is not None else ""
        return Finding("good", "result", "It has learned", f"{pixels}{against}", figures)
    if value < _THRESHOLDS.min_ap50:
        return Finding(
            "serious",
            "result",
            "It finds almost nothing",
            _recall_and_precision(facts),
            figures,
            if_nothing_learned(facts, limits),
        )
    return Finding("good", "result", "It has learned", _recall_and_precision(facts), figures)


def _recall_and_precision(facts: VerdictFacts) -> str:
    """Recall and precision in words, at the best score threshold."""
    objects = facts.objects
    if objects is None or objects.threshold is None or not objects.objects or not objects.boxes:
        return "None of its boxes matches an object."
    return (
        f"At a score threshold of {objects.threshold:.2f}, it finds {percent(objects.correct / objects.objects)} of "
        f"{plural(objects.objects, 'object')}, and {percent(objects.correct / objects.boxes)} of its "
        f"{plural(objects.boxes, 'box', 'boxes')} are correct."
    )


def confused_pixels(facts: VerdictFacts, _: Thresholds) -> Finding | None:
    """Classes with many pixels that are predicted as another class."""
    if facts.pixels is None or not facts.pixels.confusions:
        return None
    large = [t for t in facts.pixels.confusions if t.of_class >= _THRESHOLDS.pixel_confusion]
    if not large:
        return None
    shares = [f"{percent(t.of_class)} of {quote(t.target)} is predicted as {quote(t.predicted)}" for t in large[:3]]
    worst = large[0]
    sentence = f"{join_words(shares)}."
    evidence = (
        f"{quote(worst.target)} as {quote(worst.predicted)} makes up {percent(worst.of_wrong)} of all wrong pixels."
    )
    names = quote(worst.target), quote(worst.predicted)
    tries = (
        Try(f"Check in the examples below whether the masks separate {names[0]} and {names[1]} consistently."),
        Try("Weigh every class equally in the loss.", facts.command_with("task.class_weight=balanced")),
    )
    balanced = facts.setting("task.class_weight") == "balanced"
    return Finding("warning", "data", "Classes are confused", sentence, evidence, tries[:1] if balanced else tries)


def edges(facts: VerdictFacts, _: Thresholds) -> Finding | None:
    """Regions that are right, but with wrong edges."""
    boundary, iou = facts.metric(facts.split, "boundary_f"), facts.metric(facts.split, "mean_iou")
    if boundary is None or iou is None or iou - boundary <= _THRESHOLDS.boundary:
        return None
    sentence = (
        f"Its regions are better than their edges: mean IoU {percent(iou)}, boundary F1 only {percent(boundary)}."
    )
    larger = larger_input(facts)
    tries = (Try("Use larger images.", facts.command_with(larger)),) if larger else ()
    return Finding("note", "bias", "Edges are imprecise", sentence, try_next=tries)


def dominating(facts: VerdictFacts, _: Thresholds) -> Finding | None:
    """A kind of mistake that dominates, and what helps against it."""
    if facts.objects is None:
        return None
    errors, total = facts.objects.errors, sum(facts.objects.errors.values())
    if total < _THRESHOLDS.min_mistakes:
        return None
    kind = max(errors, key=lambda name: errors[name])
    share = errors[kind] / total
    if share < _THRESHOLDS.dominating:
        return None
    name, meaning = ERRORS[kind]
    others = [f"{ERRORS[k][0]} {n:,}" for k, n in sorted(errors.items(), key=lambda item: -item[1]) if k != kind and n]
    sentence = f"{percent(share)} of {plural(total, 'mistake')} are of one kind: {name} ({meaning})."
    evidence = f"The others: {', '.join(others)}." if others else ""
    title = _TITLES[kind]
    return Finding("warning", "data", title, sentence, evidence, _against(facts, kind))


_TITLES = {
    "class": "It finds objects but confuses their classes",
    "localisation": "Its boxes are poorly localised",
    "both": "Its boxes have the wrong class and are poorly localised",
    "duplicate": "It finds objects twice",
    "background": "It detects objects where there are none",
    "missed": "It misses objects",
}


def _against(facts: VerdictFacts, kind: str) -> tuple[Try, ...]:
    larger = larger_input(facts)
    larger_images = (Try("Use larger images.", facts.command_with(larger)),) if larger else ()
    if kind == "duplicate":
        now = facts.number("task.nms_threshold") or 0.5
        lower = f"task.nms_threshold={max(now - 0.15, 0.2):.2g}"
        return (Try("Suppress more overlapping boxes.", facts.command_with(lower)),) if now > 0.2 else ()
    if kind == "background":
        look = Try("Check in the examples below whether these are objects without an annotation; if so, annotate them.")
        return (look, Try("Add training images without objects that show what is mistaken for them."))
    if kind in ("class", "both"):
        return (
            Try("Check the labels of the classes that it confuses; collect more images of the rarer one."),
            *larger_images,
        )
    return (
        *larger_images,
        Try("Check in the examples below whether the missed objects are small, cut off or hidden behind others."),
    )


def small_objects(facts: VerdictFacts, _: Thresholds) -> Finding | None:
    """Small objects with a lower AP than large ones."""
    if facts.objects is None:
        return None
    enough = {
        name: ap for name, (n, ap) in facts.objects.sizes.items() if n >= _THRESHOLDS.min_objects and ap is not None
    }
    small = next((name for name in ("small", "medium") if name in enough), None)
    large = next((name for name in ("large", "medium") if name in enough), None)
    if small is None or large is None or enough[large] - enough[small] <= _THRESHOLDS.size_gap:
        return None
    sentence = (
        f"The AP of {small} objects is {points(enough[large] - enough[small])} below that of {large} ones "
        f"({percent(enough[small])} against {percent(enough[large])})."
    )
    larger = larger_input(facts)
    tries = (Try("Use larger images.", facts.command_with(larger)),) if larger else ()
    return Finding("warning", "bias", f"{small.capitalize()} objects are missed", sentence, try_next=tries)


def scarce(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """Classes with few training images: a warning if they do worse, else a note."""
    rare = {name: n for name, n in facts.train_counts.items() if 0 < n < _THRESHOLDS.scarce}
    if facts.headline.of_images or not rare:
        return None
    weak = {c.name for c in find_weak_classes(facts, limits)} & set(rare)
    rarest = sorted(weak or rare, key=lambda name: rare[name])[:3]
    examples = join_words([f"{quote(name)} ({plural(rare[name], 'image')})" for name in rarest])
    severity: Severity = "warning" if weak else "note"
    title = "Rare classes do worse" if weak else "Some classes are rare"
    sentence = f"Few training images show {examples}."
    tries: tuple[Try, ...] = (Try(f"Collect more images that show {join_words([quote(name) for name in rarest])}."),)
    if facts.pixels is not None and facts.setting("task.class_weight") != "balanced":
        command = facts.command_with("task.class_weight=balanced")
        tries = (*tries, Try("Weigh every class equally in the loss.", command))
    return Finding(severity, "data", title, sentence, try_next=tries if weak else ())


def absent_classes(facts: VerdictFacts, _: Thresholds) -> Finding | None:
    """Boxes of classes that do not occur in the evaluated images: no metric counts them."""
    if facts.objects is None or not facts.objects.absent_class_boxes:
        return None
    sentence = (
        f"{plural(facts.objects.absent_class_boxes, 'box is', 'boxes are')} of classes that occur in none of these images. AP "
        "leaves such classes out, so no metric here counts these boxes."
    )
    return Finding("note", "result", "Some boxes count in no metric", sentence)
