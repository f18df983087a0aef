"""Masks that are probably wrong: cleanlab's quality, regions by confident learning, and planted errors that are found."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import sightline
from sightline.evaluation.label_errors.classes import thresholds
from sightline.evaluation.label_errors.pixels import PixelEvidence, doubtful, evidence_of, find_in_pixels
from sightline.kinds.segmentation import SEGMENTATION
from sightline.structures.batch import Batch
from sightline.structures.targets import IGNORE, Masks
from sightline.tasks.segmentation import Segmentation
from sightline.verbs.assessment.suspicion_image import picture_of
from tests.asking import called
from tests.assessment.shapes import write_shapes

CLASSES = ("ground", "disc", "square")
FRAME = np.diag([0.5, 0.5, 1.0])  # the network sees the original at half its size


def masks(seed: int, n: int = 6, side: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n, h, w) and probabilities (n, k, h, w) of a network that is often right."""
    rng = np.random.default_rng(seed)
    index = rng.integers(0, 3, (n, 1, 1)) + np.zeros((n, side, side), int)
    index[:, 4:12, 5:15] = rng.integers(0, 3, (n, 1, 1))
    scores = rng.normal(size=(n, 3, side, side)) + 3 * (index[:, None] == np.arange(3)[:, None, None])
    weights = np.exp(scores)
    return index, weights / weights.sum(1, keepdims=True)


def joined(index: np.ndarray, probability: np.ndarray) -> PixelEvidence:
    return PixelEvidence.join(
        [evidence_of(i, m, p, FRAME) for i, (m, p) in enumerate(zip(index, probability, strict=True))]
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_quality_of_a_mask_is_that_of_cleanlab(seed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from cleanlab.count import get_confident_thresholds
        from cleanlab.segmentation import rank
    index, probability = masks(seed)
    evidence = joined(index, probability)
    scores, _ = rank.get_label_quality_scores(index, probability, verbose=False)
    quality = np.array([mask.quality for mask in evidence.masks])
    np.testing.assert_allclose(quality, scores, rtol=0, atol=1e-12)
    assert np.argsort(quality).tolist() == np.argsort(scores).tolist() and np.ptp(quality) > 0.001
    flat, wide = index.reshape(-1), probability.transpose(0, 2, 3, 1).reshape(-1, 3)  # (n, k, h, w) → (n · h · w, k)
    np.testing.assert_allclose(evidence.thresholds, get_confident_thresholds(flat, wide), rtol=0, atol=1e-9)
    np.testing.assert_allclose(evidence.thresholds, thresholds(flat, wide), rtol=0, atol=1e-9)


def test_doubtful_pixels_are_those_of_confident_learning() -> None:
    index, probability = masks(5)
    index[:, 2:6, 2:6] = (index[:, 2:6, 2:6] + 1) % 3  # wrong labels
    evidence = joined(index, probability)
    limits = evidence.thresholds
    for mask, given, own in zip(evidence.masks, index, probability, strict=True):
        best = own.argmax(0)
        expected = (best != given) & (own.max(0) >= limits[best])
        seen = np.zeros(given.size, bool)
        seen[mask.place[doubtful(mask, limits)]] = True
        assert (seen.reshape(given.shape) == expected).all() and 4 <= expected.sum() < (best != given).sum()


def one(index: np.ndarray, sure: float = 0.98) -> np.ndarray:
    """Probabilities (k, h, w) of a network that is sure of these classes."""
    return np.where(index == np.arange(3)[:, None, None], sure, (1 - sure) / 2)


def test_the_region_has_its_class_its_place_and_its_picture() -> None:
    truth = np.zeros((40, 40), int)
    truth[10:20, 6:18] = 1
    given = truth.copy()
    given[10:20, 6:18] = 2
    given[30:32, 0:40] = 2  # a line of two pixels, as annotators and networks differ along outlines
    findings = find_in_pixels(
        PixelEvidence.join([evidence_of(7, given, one(truth), FRAME), evidence_of(8, truth, one(truth), FRAME)]),
        CLASSES,
    )
    first, second = findings.ranked
    assert (first.id, first.fault, first.given, first.suggested, first.candidate) == (
        7,
        "pixels",
        "square",
        "disc",
        True,
    )
    assert first.boxes == ((12.0, 20.0, 36.0, 40.0),)
    assert first.mask is not None and first.mask.sum() == 120 and first.mask[10:20, 6:18].all()
    assert first.words == "7.5% of the mask labelled square (1.0%), looks like disc (98.0%)"
    assert (second.id, second.candidate) == (8, False) and second.quality > first.quality
    assert (findings.unit, findings.checked, round(findings.agreement or 0, 4)) == ("mask", 2, 0.9375)
    picture = picture_of(np.full((80, 80, 3), 200, np.uint8), first)
    assert picture.shape == (240, 240, 3)
    assert (picture[90, 72] == 200).all() and (picture[200, 200] < 150).all(), "what lies outside is darker"


def test_thin_lines_ignored_pixels_and_doubts_are_no_candidates() -> None:
    truth = np.zeros((40, 40), int)
    line, ignored = truth.copy(), truth.copy()
    line[:, 7:9] = 1
    ignored[5:20, 5:20] = IGNORE
    for given, probability in ((line, one(truth)), (ignored, one(np.where(ignored == IGNORE, 1, 0)))):
        findings = find_in_pixels(evidence_of(1, given, probability, FRAME), CLASSES)
        assert [s.candidate for s in findings.ranked] == [False]
    findings = find_in_pixels(evidence_of(1, np.full((9, 9), IGNORE), one(np.zeros((9, 9), int)), FRAME), CLASSES)
    assert findings.ranked == () and findings.agreement is None


class Colours(torch.nn.Module):
    """A network that knows discs and squares by their colour."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        known = torch.tensor([(90.0, 110.0, 90.0), (190.0, 90.0, 60.0), (70.0, 90.0, 190.0)])
        return -((image.float()[:, None] - known[..., None, None]) ** 2).mean(2) / 400  # (b, k, h, w)


def test_a_network_that_is_right_finds_all_that_is_planted(tmp_path: Path) -> None:
    planted = write_shapes(tmp_path, 18, (3, 11, 16))
    files = [(tmp_path / folder / f"{i}.png") for folder in ("images", "masks") for i in range(18)]
    images, given = (
        np.stack([np.asarray(Image.open(f)) for f in files[:18]]),
        [np.asarray(Image.open(f)) for f in files[18:]],
    )
    batches = []
    for start in (0, 9):
        which = torch.arange(start, start + 9)
        size = torch.full((9, 2), 48)
        batches.append(
            Batch.of_images(
                torch.from_numpy(images[start : start + 9]).permute(0, 3, 1, 2),  # (b, h, w, c) → (b, c, h, w)
                size, torch.eye(3).expand(9, 3, 3), size, which, which,
                Masks(torch.from_numpy(np.stack(given[start : start + 9])).long()),
            )
        )  # fmt: skip
    task = Segmentation(Colours(), classes=3)
    evidence = SEGMENTATION.labels.evidence(task, batches, "cpu")  # type: ignore[union-attr, misc]
    findings = find_in_pixels(evidence, CLASSES)
    assert {s.id for s in findings.candidates} == set(planted)
    for s in findings.candidates:
        if planted[s.id] == "dropped":
            assert s.given == "ground"
        if planted[s.id] == "swapped":
            assert {s.given, s.suggested} == {"disc", "square"}


@pytest.mark.slow
def test_planted_masks_are_found(tmp_path: Path) -> None:
    """Through the command line, by two networks that each saw half of the images."""
    planted = write_shapes(tmp_path / "shapes", 40, (3, 11, 26))
    words = ["label-errors", str(tmp_path / "shapes"), "--folds", "2", "-m", "unet", "--out", str(tmp_path / "checked"),
             "model.options.width=8", "model.options.depth=2", "model.options.norm=batch", "input.size=48", "--epochs", "25",
             "optim.lr=0.01", "fit.batch=8"]  # fmt: skip
    code, found, stderr = called(*words)
    assert code == 0, stderr
    assert (found["task"], found["unit"], found["checked"]) == ("segmentation", "mask", 40)
    assert {Path(it["path"]).stem for it in found["candidates"][:3]} == {str(number) for number in planted}
    for it in found["candidates"][:3]:
        assert it["fault"] == "pixels" and it["label"] != it["suggested"] and len(it["boxes"][0]) == 4
        if planted[int(Path(it["path"]).stem)] == "dropped":
            assert it["label"] == "ground"
    page = (tmp_path / "checked" / "label-errors.html").read_text()
    assert "data:image/png" in page and "masks to check" in page
    run = sightline.open_run(tmp_path / "checked" / "folds" / "1")
    assert sightline.label_errors(run).facts["unit"] == "mask"
