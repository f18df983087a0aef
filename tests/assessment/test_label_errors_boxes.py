"""Boxes that are missing, of the wrong class or badly placed: ObjectLab's qualities are cleanlab's, in our words."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from sightline.evaluation.label_errors.boxes import box_quality, find_in_boxes
from sightline.structures.detection_rows import DetectionRows

CLASSES = ("cell", "platelet", "other")


def rows(seed: int, n: int = 12) -> DetectionRows:
    """Objects, and a detector that finds them a little displaced; of some images labels are dropped, swapped or shifted."""
    rng = np.random.default_rng(seed)
    found, true = [], []
    for image in range(n):
        for _ in range(rng.integers(1, 6)):
            corner, side, label = rng.uniform(0, 200, 2), rng.uniform(10, 60, 2), int(rng.integers(0, 3))
            box = np.concatenate([corner, corner + side])
            score = float(rng.choice([0.3, 0.7, 0.96, 0.99]))
            found.append((image, box + rng.normal(0, 2, 4), label, score))
            fault = rng.random()
            if fault < 0.1:
                continue  # dropped
            given = (label + 1) % 3 if fault < 0.2 else label
            true.append((image, box + (25 if fault > 0.9 else 0), given))
    image, boxes, label, score = (np.array(part) for part in zip(*found, strict=True))
    true_image, true_boxes, true_label = (np.array(part) for part in zip(*true, strict=True))
    return DetectionRows(
        id=np.arange(n) + 100, size=np.full((n, 2), 260), boxes=boxes, label=label, score=score, image=image,
        true_boxes=true_boxes, true_label=true_label, true_image=true_image, true_ignore=np.zeros(len(true), bool),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_objectlab_is_that_of_cleanlab(seed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from cleanlab.object_detection import rank
    given = rows(seed)
    labels, predictions, order = [], [], []
    for i in range(len(given)):
        here = given.true_image == i
        labels.append({"bboxes": given.true_boxes[here], "labels": given.true_label[here]})
        mine = [np.flatnonzero((given.image == i) & (given.label == k)) for k in range(3)]
        order += [np.concatenate(mine)]
        predictions.append([np.column_stack([given.boxes[j], given.score[j]]).reshape(-1, 5) for j in mine])
    quality = box_quality(given)
    scores = rank.get_label_quality_scores(labels, predictions, verbose=False)
    np.testing.assert_allclose(quality.image, scores, rtol=0, atol=1e-9)
    swapped = np.concatenate(rank.compute_swap_box_scores(labels=labels, predictions=predictions))
    misplaced = np.concatenate(rank.compute_badloc_box_scores(labels=labels, predictions=predictions))
    missing = np.concatenate(rank.compute_overlooked_box_scores(labels=labels, predictions=predictions))
    np.testing.assert_allclose(quality.swapped, swapped, rtol=0, atol=1e-9)
    np.testing.assert_allclose(quality.misplaced, misplaced, rtol=0, atol=1e-9)
    np.testing.assert_allclose(quality.missing[np.concatenate(order)], missing, rtol=0, atol=1e-9)
    assert len(np.unique(quality.image.round(6))) > len(given) / 2, "images differ in quality"


def one(true: list[tuple[list[float], int]], found: list[tuple[list[float], int, float]]) -> DetectionRows:
    far = ([80.0, 80.0, 99.0, 99.0], 2, 0.1)  # unsure, and like no other box
    boxes, label, score = (np.array(part) for part in zip(*found, far, strict=True))
    return DetectionRows(
        id=np.array([7]), size=np.array([[100, 100]]), boxes=boxes.astype(float), label=label, score=score,
        image=np.zeros(len(boxes), int), true_boxes=np.array([box for box, _ in true], float),
        true_label=np.array([k for _, k in true]), true_image=np.zeros(len(true), int), true_ignore=np.zeros(len(true), bool),
    )  # fmt: skip


def test_each_fault_has_its_words() -> None:
    right = ([0.0, 0.0, 20.0, 20.0], 0)
    cases = {
        "missing box": ([right], [(right[0], 0, 0.99), ([60.0, 60.0, 80.0, 80.0], 1, 0.98)]),
        "wrong class": ([right], [(right[0], 1, 0.99)]),
        "bad location": ([([10.0, 10.0, 30.0, 30.0], 0)], [(right[0], 0, 0.99)]),
    }
    words = {
        "missing box": "no box here, looks like platelet (98.0%)",
        "wrong class": "labelled cell, looks like platelet (99.0%)",
        "bad location": "the box of cell lies elsewhere",
    }
    for fault, (true, found) in cases.items():
        (candidate,) = find_in_boxes(one(true, found), CLASSES).candidates
        assert (candidate.fault, candidate.words, candidate.id) == (fault, words[fault], 7)
    clean = find_in_boxes(one([right], [(right[0], 0, 0.99)]), CLASSES)
    assert not clean.candidates and clean.checked == 1


def test_ignored_objects_are_not_checked() -> None:
    from dataclasses import replace

    given = one([([0.0, 0.0, 20.0, 20.0], 0)], [([0.0, 0.0, 20.0, 20.0], 1, 0.99)])
    ignored = replace(given, true_ignore=np.array([True]))
    assert [s.fault for s in find_in_boxes(given, CLASSES).candidates] == ["wrong class"]
    assert [s.fault for s in find_in_boxes(ignored, CLASSES).candidates] == ["missing box"]
