"""Region networks against torchvision: its weights load, and every answer, draw and loss is the same."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sightline.layers.normalisation import freeze_batchnorm
from sightline.losses.regions import mask_pixels
from sightline.models import MODELS
from sightline.models.boxes.faster_rcnn import RegionNetwork
from sightline.structures.regions import RegionOutputs, RegionSamples, RegionTargets, SelectionRule
from sightline.tasks.regions import crop_masks, region_loss
from tests.distinct import fill_distinct

torchvision = pytest.importorskip("torchvision")
from torchvision.models.detection import rpn as reference_rpn  # noqa: E402
from torchvision.models.detection.image_list import ImageList  # noqa: E402

FrozenBatchNorm2d = torchvision.ops.misc.FrozenBatchNorm2d
_resnet_fpn_extractor = torchvision.models.detection.backbone_utils._resnet_fpn_extractor
torch.set_num_threads(1)

CLASSES, HEIGHT, WIDTH = 4, 128, 160
SIZES = [(128, 160), (100, 121)]  # the second image is smaller than the batch


@cache
def pair() -> tuple[RegionNetwork, nn.Module]:
    """Mask R-CNN, ours and theirs, with the same distinct values, loaded strictly. Faster R-CNN is its part without masks."""
    theirs = torchvision.models.detection.maskrcnn_resnet50_fpn(
        weights=None,
        weights_backbone=None,
        num_classes=CLASSES + 1,
        rpn_pre_nms_top_n_train=400,
        rpn_post_nms_top_n_train=400,
        rpn_pre_nms_top_n_test=300,
        rpn_post_nms_top_n_test=300,
        box_batch_size_per_image=128,
        box_score_thresh=0.01,
        box_detections_per_img=60,
    )
    fill_distinct(theirs, seed=1)
    ours = MODELS["mask_rcnn_resnet50_fpn"](num_classes=CLASSES, proposals=(400, 300), samples=(256, 128))
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return ours.eval(), theirs.eval()


def images() -> tuple[Tensor, Tensor]:
    """(2, 3, h, w) with zeros beside the smaller one, and the sizes."""
    x = torch.randn(2, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    x[1, :, SIZES[1][0] :] = 0
    x[1, :, :, SIZES[1][1] :] = 0
    return x, torch.tensor(SIZES)


@cache
def answers() -> tuple[RegionOutputs, dict[str, Any]]:
    """What both say about the two images."""
    ours, theirs = pair()
    x, size = images()
    with torch.no_grad():
        features = theirs.backbone(x)
        heads = theirs.rpn.head(list(features.values()))
        logits, deltas = reference_rpn.concat_box_prediction_layers(*heads)
        proposals, _ = theirs.rpn(ImageList(x, SIZES), features)
        pooled = theirs.roi_heads.box_roi_pool(features, proposals, SIZES)
        class_logits, box_deltas = theirs.roi_heads.box_predictor(theirs.roi_heads.box_head(pooled))
        found, _ = theirs.roi_heads(features, proposals, SIZES)
        outputs = ours(x, size, None, SelectionRule(score=0.01, overlap=0.5, limit=60))
    return outputs, {
        "logits": logits.view(2, -1),
        "deltas": deltas.view(2, -1, 4),
        "proposals": proposals,
        "class_logits": class_logits,
        "box_deltas": box_deltas.unflatten(1, (-1, 4)),
        "found": found,
    }


def difference(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference relative to the largest answer."""
    assert ours.shape == theirs.shape
    scale = theirs.abs().max().item()
    assert scale > 0.1
    return (ours - theirs).abs().max().item() / scale


@pytest.mark.parametrize("name", ["logits", "deltas", "class_logits", "box_deltas"])
def test_heads(name: str) -> None:
    outputs, reference = answers()
    assert difference(getattr(outputs, name), reference[name]) <= 1e-5


def test_proposals() -> None:
    outputs, reference = answers()
    for image, proposals in enumerate(reference["proposals"]):
        mine = outputs.proposals[outputs.sample == image]
        assert len(mine) >= 250
        assert mine.shape == proposals.shape
        assert (mine - proposals).abs().max() <= 1e-3  # pixels, of boxes up to 160 wide


def test_found_objects_and_masks() -> None:
    outputs, reference = answers()
    found, own = outputs.detections, outputs.mask_logits
    assert found is not None
    assert own is not None
    masks = own[torch.arange(len(found.label)), found.label + 1].sigmoid()
    for image, theirs in enumerate(reference["found"]):
        mine = found.sample == image
        assert mine.sum() >= 50
        assert torch.equal(found.label[mine] + 1, theirs["labels"])
        assert difference(found.score[mine], theirs["scores"]) <= 1e-4
        assert (found.boxes[mine] - theirs["boxes"]).abs().max() <= 1e-3
        assert difference(masks[mine], theirs["masks"][:, 0]) <= 1e-4


def scene() -> tuple[Tensor, RegionTargets]:
    """One image with three objects (one of them small) and their masks."""
    boxes = torch.tensor([[10.0, 12, 60, 90], [70, 20, 150, 100], [30.5, 95.25, 50, 118]])
    mask = torch.zeros(3, HEIGHT, WIDTH, dtype=torch.bool)
    for pixels, (left, top, right, bottom) in zip(mask, boxes.long().tolist(), strict=True):
        pixels[top + 3 : bottom, left + 5 : right - 2] = True
    label, sample = torch.tensor([2, 0, 3]), torch.zeros(3, dtype=torch.long)
    targets = RegionTargets(boxes, label, sample, torch.zeros(3, dtype=torch.bool), torch.tensor([5]), mask)
    return images()[0][:1], targets


def chosen(drawn: RegionSamples, total: int) -> tuple[list[Tensor], list[Tensor]]:
    """A draw as torchvision's samplers say it: masks of objects and of background."""
    positive, negative = torch.zeros(2, total, dtype=torch.bool)
    positive[drawn.place[drawn.truth >= 0]] = True
    negative[drawn.place[drawn.truth < 0]] = True
    return [positive], [negative]


def mask_questions(outputs: RegionOutputs, targets: RegionTargets) -> tuple[Tensor, Tensor, Tensor]:
    """Scores of the true class's pixels, what they shall be by torchvision's crop (half a pixel off), and the images."""
    drawn = outputs.region_draw
    assert drawn is not None
    assert outputs.mask_logits is not None
    assert targets.mask is not None
    objects = drawn.truth >= 0
    truth = drawn.truth[objects]
    own = outputs.mask_logits[torch.arange(len(truth)), targets.label[truth] + 1]
    return own, crop_masks(targets.mask, outputs.proposals[objects], truth, 28, aligned=False), drawn.sample[objects]


def test_losses_and_gradients() -> None:
    """In training, torchvision told to look at what we drew: it matches, encodes, crops and judges the same."""
    ours, theirs = pair()
    x, targets = scene()
    state = {key: value.clone() for key, value in ours.state_dict().items()}
    ours.train()
    outputs = ours(x, torch.tensor(SIZES[:1]), targets)
    ours.eval()
    assert outputs.anchor_draw is not None
    assert outputs.region_draw is not None
    assert len(outputs.anchor_draw.place) == 256
    found = (outputs.region_draw.truth >= 0).sum()
    assert found >= 10
    loss = region_loss(outputs, targets, masks=False)
    own, wanted, sample = mask_questions(outputs, targets)
    parts = dict(loss.parts) | {"masks": mask_pixels(own, wanted, sample, 1)[0]}

    theirs.train()
    features = theirs.backbone(x)
    truth = [{"boxes": targets.boxes, "labels": targets.label + 1, "masks": targets.mask}]
    anchors = outputs.logits.shape[1]
    theirs.rpn.fg_bg_sampler = lambda labels: chosen(outputs.anchor_draw, anchors)
    theirs.roi_heads.fg_bg_sampler = lambda labels: chosen(outputs.region_draw, len(labels[0]))
    proposals, first = theirs.rpn(ImageList(x, SIZES[:1]), features, truth)
    _, second = theirs.roi_heads(features, proposals, SIZES[:1], truth)
    theirs.eval()
    for name, reference in {
        "objectness": first["loss_objectness"],
        "anchor_boxes": first["loss_rpn_box_reg"],
        "class": second["loss_classifier"],
        "boxes": second["loss_box_reg"],
        "masks": second["loss_mask"],
    }.items():
        assert parts[name].item() == pytest.approx(reference.item(), rel=1e-4), name
    (sum(first.values()) + sum(second.values())).backward()
    (loss.total + parts["masks"]).backward()
    for name, p in ours.named_parameters():
        reference = theirs.get_parameter(name)
        assert p.grad is not None, name
        assert reference.grad is not None, name
        error = (p.grad - reference.grad).norm() / reference.grad.norm()
        assert error <= 1e-3, (name, error)
        p.grad = reference.grad = None
    ours.load_state_dict(state)
    theirs.load_state_dict(state)


@torch.no_grad()
def test_weights_of_frozen_norms_load() -> None:
    """torchvision publishes detectors with frozen norms, which keep no counters of batches: the load is strict all the same."""
    body = torchvision.models.resnet50(weights=None, norm_layer=FrozenBatchNorm2d)
    trunk = _resnet_fpn_extractor(body, 3)
    theirs = torchvision.models.detection.MaskRCNN(trunk, num_classes=CLASSES + 1).eval()
    fill_distinct(theirs, seed=1)
    assert not any("num_batches_tracked" in key for key in theirs.state_dict())
    ours = MODELS["mask_rcnn_resnet50_fpn"](num_classes=CLASSES)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    assert freeze_batchnorm(ours.eval()) == 53
    x = torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(5))
    for mine, other in zip(ours.features(x), theirs.backbone(x).values(), strict=True):
        assert torch.allclose(mine, other, rtol=1e-4, atol=1e-5 * other.abs().max().item())


def test_faster_rcnn_has_torchvisions_names() -> None:
    with torch.device("meta"):
        theirs = torchvision.models.detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None)
        ours = MODELS["faster_rcnn_resnet50_fpn"]()
    expected = {key: value.shape for key, value in theirs.state_dict().items()}
    assert {key: value.shape for key, value in ours.state_dict().items()} == expected
