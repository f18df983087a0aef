"""The verdict on pixels and objects: each rule is seen to speak and to be silent, and its advice can be typed."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from sightline.recipes.reading import make_draft, parse_overrides
from sightline.reports.finding import ClassFact, Finding, ObjectFacts, PixelConfusion, PixelFacts, VerdictFacts
from sightline.reports.thresholds import DenseThresholds, Thresholds
from tests.verdicts import chapter_for, headline_of, verdict

RECIPE = {
    "optim": {"lr": 0.001, "weight_decay": 0.01},
    "fit": {"epochs": 20.0, "batch": 8},
    "augment": {"preset": "light"},
    "input": {"size": 192, "width": 256},
}


def course(metric: str, values: list[float]) -> tuple[dict[str, float | None], ...]:
    return tuple({"epoch": float(i + 1), "val_loss": 1.0, f"val_{metric}": v} for i, v in enumerate(values))


LEVEL = [0.3, 0.5, 0.6, 0.65, 0.68, 0.7, 0.715, 0.72, 0.722, 0.721]
SEGMENTS = VerdictFacts(
    split="test",
    n=200,
    interval=(0.76, 0.80),
    metrics={
        "train": {"mean_iou": 0.82},
        "val": {"mean_iou": 0.79},
        "test": {"mean_iou": 0.78, "pixel_accuracy": 0.93, "boundary_f": 0.7},
    },
    sizes={"train": 200, "val": 200, "test": 200},
    history=course("mean_iou", LEVEL),
    majority=("sky", 0.1),
    classes=(ClassFact("sky", 0.9, 0.88, 0.92, 9000, "tree", 300), ClassFact("pole", 0.7, 0.65, 0.77, 900, "tree", 80)),
    train_counts={"sky": 300, "pole": 250},
    files=600,
    recipe=RECIPE | {"task": {"kind": "segmentation", "class_weight": "none"}},
    command="sightline train runs/roads/recipe.yaml",
    headline=headline_of("segmentation"),
    pixels=PixelFacts((PixelConfusion("pole", "tree", 0.08, 0.3),)),
)
ERRORS = {"class": 12, "localisation": 13, "both": 2, "duplicate": 5, "background": 14, "missed": 14}
OBJECTS = replace(
    SEGMENTS,
    metrics={"train": {"ap50": 0.82}, "val": {"ap50": 0.79}, "test": {"ap50": 0.78}},
    history=course("ap50", LEVEL),
    majority=None,
    recipe=RECIPE | {"task": {"kind": "detection"}},
    headline=headline_of("detection"),
    pixels=None,
    objects=ObjectFacts(
        threshold=0.43, objects=500, correct=400, boxes=446, errors=ERRORS,
        sizes={"small": (100, 0.5), "medium": (200, 0.55), "large": (200, 0.6)},
    ),
)  # fmt: skip


def errors(kind: str) -> VerdictFacts:
    """Most mistakes are of one kind."""
    assert OBJECTS.objects is not None
    return replace(OBJECTS, objects=replace(OBJECTS.objects, errors=ERRORS | {kind: 90}))


def objects(**changes) -> VerdictFacts:
    assert OBJECTS.objects is not None
    return replace(OBJECTS, objects=replace(OBJECTS.objects, **changes))


def measured(facts: VerdictFacts, train: float, val: float, test: float) -> VerdictFacts:
    name = facts.headline.metric
    return replace(facts, metrics={"train": {name: train}, "val": {name: val}, "test": {name: test}})


def find(facts: VerdictFacts, title: str) -> Finding | None:
    return next((f for f in verdict(facts).findings if f.title == title), None)


def titles(facts: VerdictFacts) -> list[str]:
    return [f.title for f in verdict(facts).findings]


@pytest.mark.parametrize("facts", [SEGMENTS, OBJECTS], ids=["segmentation", "detection"])
def test_a_good_run_is_called_good_and_nothing_more(facts):
    conclusion = verdict(facts)
    assert [f.title for f in conclusion.findings] == ["It has learned", "It fits and generalises"]
    assert conclusion.limit == ""
    assert (
        "of 78.0\u202f% on 200 test images; with 95 % confidence between 76.0 and 80.0\u202f%." in conclusion.headline
    )


def test_result_is_told_in_words_that_need_no_metric():
    assert "93.0\u202f% of all pixels are correct. Predicting “sky” for every pixel would reach 10.0\u202f%." in find(
        SEGMENTS, "It has learned"
    ).sentence  # fmt: skip
    words = find(OBJECTS, "It has learned").sentence
    assert words == (
        "At a score threshold of 0.43, it finds 80.0\u202f% of 500 objects, and 89.7\u202f% of its 446 boxes are correct."
    )
    assert "an AP50 of" in verdict(OBJECTS).headline
    assert "a mask AP50 of" in verdict(
        measured(replace(OBJECTS, headline=headline_of("instances")), 0.82, 0.79, 0.78)
    ).headline  # fmt: skip


WEAK = ClassFact("pole", 0.2, 0.1, 0.3, 900, "tree", 450)
SCENARIOS = {
    "guessing": (
        replace(SEGMENTS, majority=("sky", 0.77)),
        "serious", "No better than guessing", "“sky” for every pixel would reach", ["optim.lr=0.0003"],
    ),
    "nothing": (
        measured(OBJECTS, 0.03, 0.02, 0.02),
        "serious", "It finds almost nothing", "it finds", ["optim.lr"],
    ),
    "over-fit": (
        measured(SEGMENTS, 0.95, 0.79, 0.78),
        "serious", "Overfitting", "16.0 points", ["augment.preset=standard"],
    ),
    "over-fit boxes": (
        measured(OBJECTS, 0.88, 0.79, 0.78),
        "warning", "Overfitting", "9.0 points", ["optim.weight_decay=0.1"],
    ),
    "under-fit": (
        measured(SEGMENTS, 0.6, 0.59, 0.58),
        "warning", "Underfitting", "a mean IoU of 60.0", ["fit.epochs=40", "input.size=288 input.width=384"],
    ),
    "under-fit badly": (
        measured(OBJECTS, 0.4, 0.4, 0.4),
        "serious", "Underfitting", "an AP50 of 40.0", ["fit.epochs=40"],
    ),
    "harder test": (
        measured(SEGMENTS, 0.82, 0.8, 0.7),
        "warning", "The test images are harder", "10.0 points lower", [],
    ),
    "still improving": (
        replace(OBJECTS, history=course("ap50", [i / 20 for i in range(12)])),
        "warning", "It was still improving at the end", "AP50 was still rising", ["fit.epochs=40"],
    ),
    "plateau": (
        replace(OBJECTS, history=course("ap50", [0.1, 0.6, 0.73, *[0.72] * 9])),
        "note", "It had reached a plateau", "did not improve after epoch 3", ["fit.epochs=6"],
    ),
    "falls again": (
        replace(SEGMENTS, history=course("mean_iou", [0.1, 0.6, 0.73, *[0.6] * 9])),
        "warning", "It overfits with time", "The weights of epoch 3 were selected", ["fit.epochs=6"],
    ),
    "mixed up": (
        replace(SEGMENTS, pixels=PixelFacts((PixelConfusion("pole", "tree", 0.4, 0.3),))),
        "warning", "Classes are confused", "40.0\u202f% of “pole” is predicted as “tree”", ["task.class_weight=balanced"],
    ),
    "weak class": (
        replace(SEGMENTS, classes=(SEGMENTS.classes[0], WEAK)),
        "warning", "Some classes are hard", "“pole” (IoU 20.0", [],
    ),
    "weak object": (
        replace(OBJECTS, classes=(ClassFact("pole", 0.2, 0.1, 0.3, 90),)),
        "warning", "Some classes are hard", "“pole” (AP50 20.0", [],
    ),
    "scarce": (
        replace(SEGMENTS, train_counts={"sky": 300, "pole": 12}),
        "note", "Some classes are rare", "“pole” (12 images)", [],
    ),
    "scarce and weak": (
        replace(SEGMENTS, train_counts={"sky": 300, "pole": 12}, classes=(WEAK,)),
        "warning", "Rare classes do worse", "“pole” (12 images)", ["task.class_weight=balanced"],
    ),
    "edges": (
        replace(SEGMENTS, metrics=dict(SEGMENTS.metrics) | {"test": {"mean_iou": 0.78, "boundary_f": 0.4}}),
        "note", "Edges are imprecise", "40.0", ["input.size=288"],
    ),
    "few images": (
        replace(OBJECTS, n=20, interval=(0.68, 0.88), sizes={"train": 200, "val": 20, "test": 20}),
        "warning", "Few test images", "With 20 test images the 95 % interval of the AP50 is 68.0–88.0", [],
    ),
    "missed": (
        errors("missed"),
        "warning", "It misses objects", "66.2\u202f% of 136 mistakes", ["input.size=288"],
    ),
    "class": (
        errors("class"),
        "warning", "It finds objects but confuses their classes", "wrong class", [],
    ),
    "placed": (
        errors("localisation"),
        "warning", "Its boxes are poorly localised", "poorly localised", ["input.size=288"],
    ),
    "both": (
        errors("both"),
        "warning", "Its boxes have the wrong class and are poorly localised", "IoU from 10 to 50", [],
    ),
    "twice": (
        errors("duplicate"),
        "warning", "It finds objects twice", "duplicate", ["task.nms_threshold=0.35"],
    ),
    "nothing there": (
        errors("background"),
        "warning", "It detects objects where there are none", "background", [],
    ),
    "small": (
        objects(sizes={"small": (30, 0.3), "large": (30, 0.6)}),
        "warning", "Small objects are missed", "30.0 points below", ["input.size=288"],
    ),
    "unjudged": (
        objects(absent_class_boxes=7),
        "note", "Some boxes count in no metric", "7 boxes are of classes", [],
    ),
    "no test": (
        replace(SEGMENTS, split="val", metrics={"train": {"mean_iou": 0.82}, "val": {"mean_iou": 0.79}}),
        "note", "There is no test split", "selected on", [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name):
    facts, severity, title, words, advice = SCENARIOS[name]
    finding = find(facts, title)
    assert finding is not None, titles(facts)
    assert finding.severity == severity
    assert words in finding.sentence
    given = " ".join(t.command for t in finding.try_next)
    for change in advice:
        assert change in given
    assert title not in titles(SEGMENTS) + titles(OBJECTS)  # the rule is silent where all is well


def test_a_difference_that_chance_explains_is_none():
    few = {"train": 200, "val": 5, "test": 200}
    assert "Overfitting" in titles(measured(OBJECTS, 0.9, 0.79, 0.78))
    assert "Overfitting" not in titles(replace(measured(OBJECTS, 0.9, 0.79, 0.78), sizes=few))
    unknown = replace(measured(OBJECTS, 0.9, 0.79, 0.78), interval=None)  # nobody knows what chance does
    assert not {"Overfitting", "It fits and generalises"} & set(titles(unknown))


def test_few_mistakes_and_few_small_objects_say_nothing():
    assert "It misses objects" not in titles(objects(errors={"missed": 19}))
    assert "Small objects are missed" not in titles(objects(sizes={"small": (19, 0.1), "large": (30, 0.6)}))
    medium = objects(sizes={"small": (2, 0.0), "medium": (30, 0.3), "large": (30, 0.6)})
    assert "Medium objects are missed" in titles(medium)


def test_unusable_files_come_first_and_a_rehearsal_is_not_judged():
    for facts in (SEGMENTS, OBJECTS, replace(OBJECTS, status="diverged"), measured(OBJECTS, 0.01, 0.01, 0.01)):
        assert titles(replace(facts, quarantined=31))[0] == "Many files could not be used"
        assert titles(replace(facts, quarantined=30))[0] != "Many files could not be used"
    assert titles(replace(errors("missed"), smoke=True)) == ["This is a rehearsal"]


def test_class_weights_that_are_set_are_not_advised():
    mixed = SCENARIOS["mixed up"][0]
    balanced = replace(mixed, recipe=RECIPE | {"task": {"kind": "segmentation", "class_weight": "balanced"}})
    assert "class_weight" not in " ".join(t.command for t in find(balanced, "Classes are confused").try_next)


def test_every_command_can_be_typed():
    seen = set()
    for facts, *_ in SCENARIOS.values():
        for finding in verdict(facts).findings:
            for command in (t.command for t in finding.try_next if t.command):
                program, verb, *rest = shlex.split(command)
                assert program == "sightline"
                if verb == "train":
                    changes = parse_overrides(rest[1:])
                    make_draft(facts.recipe, changes)
                    seen |= set(changes)
    assert {"input.size", "task.nms_threshold", "task.class_weight", "fit.epochs"} <= seen


def test_lines_are_explained_for_each_task():
    chapter = chapter_for(OBJECTS)
    own = chapter.threshold_rows(chapter.limits, OBJECTS.headline)
    names = [name for name, _, _ in own]
    assert set(DenseThresholds.__dataclass_fields__) < set(names)
    assert "ece" not in names
    assert not [meaning for _, _, meaning in own if "accuracy" in meaning]
    assert chapter_for(VerdictFacts()).limits == Thresholds()
