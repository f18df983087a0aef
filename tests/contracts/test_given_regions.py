"""R-CNN and Fast R-CNN on regions from elsewhere: they learn, follow augmentation, add up, and their fits separate."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from sightline.augmentation.affine import Affine
from sightline.augmentation.moves import Flip
from sightline.errors import UsageError
from sightline.layers.boxes.regions import pyramid_level, roi_pool
from sightline.models.boxes.proposals.fast_rcnn import FastRCNN
from sightline.models.boxes.proposals.rcnn import CONTEXT, RCNN, warp
from sightline.models.residual.resnet import BasicBlock
from sightline.preprocessing.normalise import Normalise, Normalised
from sightline.randomness.keyed import torch_seeded
from sightline.structures.batch import PLACES, Batch
from sightline.structures.boxes import iou
from sightline.structures.inputs import Places
from sightline.structures.targets import Boxes
from sightline.tasks.proposals.fitting import NEVER, ImageRegions, fit_regions
from sightline.tasks.proposals.given import GivenRegions
from tests.contracts.test_detection_task import SIDE, batch_of, judged, learned

torch.set_num_threads(1)


def bright(image: np.ndarray) -> np.ndarray:
    """Boxes around bright spots, four shifted and stretched ones of each, and twelve elsewhere."""
    found = [[x.start, y.start, x.stop, y.stop] for y, x in ndimage.find_objects(ndimage.label(image.max(2) > 150)[0])]
    draw = np.random.default_rng(0)
    spots = np.array([box for box in found if box[2] - box[0] > 5 and box[3] - box[1] > 5], float).reshape(-1, 4)
    side = (spots[:, 2:] - spots[:, :2]).repeat(2, 1).reshape(-1, 4)
    near = [spots + draw.uniform(-0.2, 0.2, (len(spots), 4)) * side for _ in range(4)]
    corner = draw.uniform(0, 60, (12, 2))
    return np.concatenate([*near, np.concatenate([corner, corner + draw.uniform(16, 36, (12, 2))], 1)]).astype(
        np.float32
    )


def fast_rcnn() -> GivenRegions:
    with torch_seeded(0, "initialise"):
        small = FastRCNN(BasicBlock, (1, 1, 1, 1), num_classes=2, width=64, hidden=128, samples=32)
    return GivenRegions(Normalised(Normalise([127.0] * 3, [60.0] * 3), small), classes=2, propose=bright)


def rcnn() -> GivenRegions:
    with torch_seeded(0, "initialise"):
        small = RCNN(BasicBlock, (1, 1, 1, 1), num_classes=2, side=32, samples=16)
    model = Normalised(Normalise([127.0] * 3, [60.0] * 3), small)
    return GivenRegions(model, classes=2, propose=bright, fitted=True)


def test_fast_rcnn_learns() -> None:
    task = fast_rcnn()
    losses = learned(task, 12)
    assert np.mean(losses[-4:]) < 0.7 * np.mean(losses[:4])
    assert judged(task)["ap50"] > 0.5


def test_regions_are_pooled_from_the_level_that_fits() -> None:
    task = fast_rcnn().eval()
    network = task.model.network
    assert isinstance(network, FastRCNN)
    boxes = torch.tensor([[0.0, 0, 20, 20], [5, 5, 90, 80], [40, 30, 70, 96], [0, 0, 96, 96]])
    sample = torch.tensor([0, 1, 1, 0])
    image = torch.rand(2, 3, SIDE, SIDE)
    pyramid = network.features(image)
    level = pyramid_level(boxes, (2, 3, 4, 5))
    slow = torch.cat(
        [
            roi_pool(pyramid[int(lv)], box[None], s[None], output=7, scale=2.0 ** -(int(lv) + 2))
            for lv, box, s in zip(level, boxes, sample, strict=True)
        ]
    )
    got = network(image, given=(boxes, sample))
    expected = network.roi_heads.box_predictor(network.roi_heads.box_head(slow))
    assert torch.allclose(got.class_logits, expected[0], atol=1e-5)
    assert torch.allclose(got.box_deltas, expected[1], atol=1e-5)


def test_two_halves_add_up_to_the_batch() -> None:
    for task in (fast_rcnn().train(), rcnn().train()):
        whole, *halves = (task.loss(batch_of(p)) for p in ([0, 1, 2, 3], [0, 1], [2, 3]))
        total = sum(h.total * h.weight for h in halves) / sum(h.weight for h in halves)
        assert torch.allclose(whole.total, total, atol=1e-5)


def with_places(places: list[int]) -> Batch:
    """A batch that brings its true boxes as the regions of its images."""
    batch = batch_of(places)
    assert isinstance(batch.target, Boxes)
    count = torch.bincount(batch.target.sample, minlength=len(places))
    return Batch({**batch.inputs, PLACES: Places(batch.target.boxes, count)}, batch.id, batch.position, batch.target)


@pytest.mark.parametrize("operation", [Flip(), Affine(translate=0.1)], ids=["flip", "affine"])
def test_regions_follow_augmentation(operation: Flip | Affine) -> None:
    changed = operation(with_places(list(range(6))), seed=1)
    boxes, sample = fast_rcnn().given(changed)
    target = changed.target
    assert isinstance(target, Boxes)
    assert not torch.equal(target.boxes, with_places(list(range(6))).target.boxes)
    overlap = iou(target.boxes, boxes).where(target.sample[:, None] == sample, 0.0)
    assert overlap.amax(1).min() > 0.999


def test_regions_outside_of_their_image_are_left_out() -> None:
    batch = with_places([0])
    places = Places(torch.tensor([[-50.0, 0, -10, 20], [-5, 4, 30, 40]]), torch.tensor([2]))
    batch = Batch({**batch.inputs, PLACES: places}, batch.id, batch.position, batch.target)
    assert fast_rcnn().given(batch)[0].tolist() == [[0, 4, 30, 40]]


def test_a_warped_region_has_its_context() -> None:
    image = torch.zeros(2, 1, 40, 60)
    image[1, :, 10:30, 20:50] = 1  # the object fills its box
    boxes = torch.tensor([[20.0, 10, 50, 30], [0, 0, 60, 40]])
    got = warp(image, boxes, torch.tensor([1, 0]), 227)
    assert got.shape == (2, 1, 227, 227) and got[1].abs().max() == 0
    inside = (got[0, 0] > 0.5).nonzero()
    assert inside.amin(0).tolist() == [16, 16] and inside.amax(0).tolist() == [210, 210]
    assert CONTEXT * 227 == 16


def test_what_lies_outside_of_the_image_is_the_mean() -> None:
    got = warp(torch.ones(1, 3, 32, 32), torch.tensor([[0.0, 0, 32, 32]]), torch.tensor([0]), 64)
    assert got[0, :, :3].abs().max() == 0 and (got[0, :, 6:58, 6:58] - 1).abs().max() < 1e-5


def test_the_fits_of_rcnn_replace_its_classifier() -> None:
    task = rcnn()
    learned(task, 10)
    task.eval()
    before = {name: tensor.clone() for name, tensor in task.state_dict().items()}
    plain = judged(task)
    task.conclude(batch_of([first, first + 1]) for first in range(0, 20, 2))
    fitted = judged(task)
    once = task.state_dict()
    changed = {name.rpartition(".")[2] for name in once if not torch.equal(once[name], before[name])}
    assert changed == {"svm_weight", "svm_bias", "box_weight", "box_bias", "ready"}
    assert fitted["ap50"] > 0.4
    assert fitted["ap"] > plain["ap"]  # only the fitted network refines boxes
    other = rcnn()
    other.load_state_dict(once)
    assert judged(other) == fitted


def regions(seed: int, label: list[int], classes: int = 2) -> ImageRegions:
    """Regions whose first features say the class of the object that they show, and whose maps are the deltas to it."""
    draw = np.random.default_rng(seed)
    n = 40
    pooled = draw.normal(0, 0.1, (n + len(label), 8)).astype(np.float32)
    for i, c in enumerate(label):
        pooled[n + i, c] += 1
    overlap = np.concatenate([draw.uniform(0, 0.2, (n, len(label))), np.eye(len(label))])
    shift = draw.normal(0, 0.2, (12, 4)).astype(np.float32)
    near = np.arange(12) % classes
    true = np.arange(n + len(label)) >= n
    return ImageRegions(pooled, overlap, np.array(label), true, np.zeros(len(true), bool), shift * 3, near, shift)


def test_machines_separate_and_the_regression_refines() -> None:
    images = [regions(seed, [seed % 2, 0]) for seed in range(30)]
    found = fit_regions(images, 3)
    features = np.concatenate([image.pooled for image in images])
    margin = features @ found["svm_weight"].T + found["svm_bias"]
    truth = np.concatenate([np.r_[[-1] * 40, image.label] for image in images])
    for label in range(2):
        assert margin[truth == label, label].min() > margin[truth != label, label].max()
    assert (margin[:, 2] == NEVER).all()  # a class that no image shows
    assert not found["box_weight"][8:].any()
    moves = np.concatenate([image.maps for image in images])[::2] @ found["box_weight"][:4].T + found["box_bias"][:4]
    wanted = np.concatenate([image.shift for image in images])[::2]
    assert np.corrcoef(moves.ravel(), wanted.ravel())[0, 1] > 0.99


def test_negatives_are_neither_close_to_the_class_nor_to_be_ignored() -> None:
    """Regions that half show an object would be called background otherwise: with them the machine must fail."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 20], [50, 50, 60, 60], [80, 80, 90, 90], [0, 0, 10, 10]])
    target = Boxes(
        torch.tensor([[0.0, 0, 10, 10], [80, 80, 90, 90]]), torch.tensor([1, 0]), torch.tensor([3, 3]),
        torch.tensor([False, True]),
    )  # fmt: skip
    image = ImageRegions.of(boxes, torch.rand(5, 4), torch.rand(5, 6), target, 3)
    from sightline.tasks.proposals.fitting import _sides

    positive, negative = _sides(image, 1)
    assert positive.tolist() == [False, False, False, False, True]
    assert negative.tolist() == [False, False, True, False, False]
    assert _sides(image, 0)[1].tolist() == [True, True, True, False, True]  # an object of another class is background
    assert image.near.tolist() == [1, 1] and np.allclose(image.shift, 0)


def test_what_cannot_be_built_is_named() -> None:
    for build in (FastRCNN, RCNN):
        with pytest.raises(UsageError, match="at least one class"):
            build(BasicBlock, (1, 1, 1, 1), num_classes=0)
    with pytest.raises(UsageError, match="side=16"):
        RCNN(BasicBlock, (1, 1, 1, 1), side=16)
