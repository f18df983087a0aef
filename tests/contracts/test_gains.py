"""What fixing a kind of error would gain, against a slow walk through the definition of TIDE; crowded objects."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sightline.evaluation.boxes.crowding import crowded_objects, judge_crowding
from sightline.evaluation.boxes.errors import KINDS
from sightline.evaluation.boxes.gains import ap50_gains
from sightline.metrics.detection import detection_metrics
from sightline.metrics.matching import match_rows
from sightline.structures.detection_rows import DetectionRows
from tests.found_objects import drawn, rows_of


def overlap(a: list[float], b: list[float]) -> float:
    shared = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return shared / (area - shared) if shared else 0.0


def slow_ap(points: list[tuple[float, bool]], objects: int) -> float:
    """101 levels of recall, at each the best precision at no smaller recall."""
    if not objects:
        return math.nan
    right, curve = 0, []
    for number, (_, correct) in enumerate(points, 1):
        right += correct
        curve.append((right / objects, right / number))
    return sum(max((p for r, p in curve if r >= level), default=0.0) for level in np.linspace(0, 1, 101)) / 101


class Slow:
    """Boxes by falling score, one at a time: hits, ignored ones, and for each other box a kind and the object it is about."""

    def __init__(self, rows: DetectionRows) -> None:
        self.rows, self.boxes, self.true = rows, rows.boxes.tolist(), rows.true_boxes.tolist()
        self.order = sorted(range(len(rows.label)), key=lambda i: (-rows.score[i], rows.image[i], i))
        self.hits: set[int] = set()
        self.ignored: set[int] = set()
        self.used: set[int] = set()
        for i in self.order:
            self.take(i)
        found = {i: self.mistake(i) for i in self.order if i not in self.hits | self.ignored}
        self.kind = {i: kind for i, (kind, _) in found.items()}
        self.about = {i: about for i, (_, about) in found.items() if about is not None}

    def take(self, i: int) -> None:
        own = [t for t in range(len(self.true)) if self.here(i, t) and self.rows.true_label[t] == self.rows.label[i]]
        real = [t for t in own if t not in self.used and not self.rows.true_ignore[t]]
        value, best = max(((overlap(self.boxes[i], self.true[t]), t) for t in real), default=(0.0, -1))
        if value >= 0.5:
            self.used.add(best)
            self.hits.add(i)
        elif any(self.rows.true_ignore[t] and inside(self.boxes[i], self.true[t]) >= 0.5 for t in own):
            self.ignored.add(i)

    def here(self, i: int, t: int) -> bool:
        return bool(self.rows.true_image[t] == self.rows.image[i])

    def mistake(self, i: int) -> tuple[str, int | None]:
        there = [t for t in range(len(self.true)) if self.here(i, t) and not self.rows.true_ignore[t]]
        pairs = {t: overlap(self.boxes[i], self.true[t]) for t in there}
        own = {t: v for t, v in pairs.items() if self.rows.true_label[t] == self.rows.label[i]}
        other = {t: v for t, v in pairs.items() if t not in own}
        if own and 0.1 <= max(own.values()) <= 0.5:
            return "localisation", max(own, key=lambda t: own[t])
        if other and max(other.values()) >= 0.5:
            return "class", max(other, key=lambda t: other[t])
        if any(v >= 0.5 for t, v in own.items() if t in self.used):
            return "duplicate", None
        return ("background" if max(pairs.values(), default=0.0) <= 0.1 else "both"), None

    def ap50(self, classes: int, fixed: str | None) -> float:
        rows, first = self.rows, {}
        points: dict[int, list[tuple[float, bool]]] = {c: [] for c in range(classes)}
        for i in self.order:
            if i in self.about and self.about[i] not in self.used:
                first.setdefault(self.about[i], i)
        for i in self.order:
            label, correct = int(rows.label[i]), i in self.hits
            if self.kind.get(i, "") == fixed:
                if first.get(self.about.get(i, -1)) != i:
                    continue
                label, correct = int(rows.true_label[self.about[i]]), True
            if i not in self.ignored:
                points[label].append((rows.score[i], correct))
        real = [t for t in range(len(self.true)) if not rows.true_ignore[t]]
        if fixed == "missed":
            real = [t for t in real if t in self.used or t in self.about.values()]
        aps = [slow_ap(points[c], sum(rows.true_label[t] == c for t in real)) for c in range(classes)]
        defined = [v for v in aps if not math.isnan(v)]
        return sum(defined) / len(defined) if defined else math.nan


def inside(a: list[float], b: list[float]) -> float:
    shared = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    return shared / ((a[2] - a[0]) * (a[3] - a[1]))


def test_gains_are_those_of_the_definition() -> None:
    counted = dict.fromkeys(KINDS, 0)
    for seed in range(0, 80, 2):  # scores without ties
        rows, k = drawn(seed)
        got, slow = ap50_gains(rows, match_rows(rows, k)), Slow(rows)
        want = {name: slow.ap50(k, name) - slow.ap50(k, None) for name in KINDS}
        for name in KINDS:
            if math.isnan(want[name]):
                assert got[name] is None, (seed, name)
            else:
                assert got[name] == pytest.approx(want[name], abs=1e-9), (seed, name)
                counted[name] += abs(want[name]) > 1e-6
    assert min(counted.values()) >= 8, counted


def test_a_perfect_detector_has_nothing_to_gain() -> None:
    a, b = [0.0, 0.0, 40.0, 40.0], [60.0, 60.0, 100.0, 100.0]
    perfect = rows_of([(0, 0, 0.9, a), (0, 1, 0.8, b)], [(0, 0, a), (0, 1, b)], n=1)
    assert ap50_gains(perfect, match_rows(perfect, 2)) == dict.fromkeys(KINDS, 0.0)
    nothing = rows_of([], [], n=1)
    assert ap50_gains(nothing, match_rows(nothing, 2)) == dict.fromkeys(KINDS)
    confused = rows_of([(0, 1, 0.9, a), (0, 1, 0.8, b)], [(0, 0, a), (0, 1, b)], n=1)
    gains = ap50_gains(confused, match_rows(confused, 2))
    assert gains["class"] == pytest.approx(1 - 0.25)  # of 0 and 1/2
    assert gains["background"] == gains["missed"] == 0.0


def test_crowded_objects_and_those_apart() -> None:
    """The same boxes miss one of two overlapping objects and find one apart; a crowd region crowds nobody."""
    a, near, far = [0.0, 0.0, 40.0, 40.0], [10.0, 0.0, 50.0, 40.0], [100.0, 100.0, 140.0, 140.0]
    crowd = [100.0, 100.0, 150.0, 150.0]
    rows = rows_of(
        [(0, 0, 0.9, a), (0, 0, 0.8, far)], [(0, 0, a), (0, 0, near), (0, 0, far), (0, 0, crowd)], n=1, ignore=(3,)
    )
    assert crowded_objects(rows).tolist() == [True, True, False, False]
    judged = judge_crowding(rows, match_rows(rows, 1))
    assert judged["crowded"] == {"support": 2, "ap": pytest.approx(51 / 101), "ar": 0.5}
    assert judged["apart"] == {"support": 1, "ap": pytest.approx(1.0), "ar": 1.0}


def test_all_objects_apart_have_the_ap_of_all() -> None:
    for seed in range(0, 30, 2):
        rows, k = drawn(seed)
        lone = np.unique(rows.true_image, return_index=True)[1]
        few = DetectionRows(
            **{name: getattr(rows, name) for name in ("id", "size", "boxes", "label", "score", "image")},
            **{name: getattr(rows, name)[lone] for name in ("true_boxes", "true_label", "true_image", "true_ignore")},
        )
        judged, whole = judge_crowding(few, match_rows(few, k)), detection_metrics(few, k)["ap"]
        assert judged["crowded"]["support"] == 0
        assert judged["apart"]["ap"] == (None if whole is None else pytest.approx(whole, abs=1e-9))
