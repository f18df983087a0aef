"""Published weights against their publishers: the facts of the table, and torchvision's own modules, saved and loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from sightline.models import MODELS, published
from sightline.models.create import create_model, outline
from sightline.models.published import PublishedWeights
from sightline.models.renaming import candidates
from tests.distinct import fill_distinct

torchvision = pytest.importorskip("torchvision")
from torchvision.models.detection import MaskRCNN  # noqa: E402
from torchvision.models.detection._utils import overwrite_eps  # noqa: E402
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone  # noqa: E402

torch.set_num_threads(1)
ROWS = [source for of in published.published().values() for source in of.values()]
THEIRS = [source for source in ROWS if source.name.startswith("torchvision/")]
THEIR_NAMES = {"faster_rcnn_resnet50_fpn": "fasterrcnn_resnet50_fpn", "mask_rcnn_resnet50_fpn": "maskrcnn_resnet50_fpn"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))


def enum_of(source: PublishedWeights) -> Any:
    weights = torchvision.models.get_model_weights(THEIR_NAMES.get(source.model, source.model))
    return weights[source.name.split("/")[1]]


# ---------------------------------------------------------------------------------------------------------- the table
@pytest.mark.parametrize("source", THEIRS, ids=lambda s: f"{s.model} {s.name}")
def test_facts_are_torchvisions(source: PublishedWeights) -> None:
    weights = enum_of(source)
    assert source.url == weights.url
    assert ("CC-BY-NC" in source.licence) == ("SWAG" in weights.meta.get("license", ""))
    seen = weights.transforms()
    detector = source.model in THEIR_NAMES
    assert source.classes == len(weights.meta["categories"]) - detector
    assert source.norm_eps == (0.0 if detector else None)
    if not detector:
        assert source.resize == seen.resize_size[0]
        assert source.interpolation == seen.interpolation.value
        assert source.crop == (seen.crop_size[0] if hasattr(seen, "crop_size") else None)
    if not detector and source.model != "googlenet":  # it changes to these two inside, see below
        assert source.mean == tuple(seen.mean)
        assert source.std == tuple(seen.std)


def test_every_file_of_torchvision_and_its_default_is_there() -> None:
    for model in {source.model for source in THEIRS}:
        every = torchvision.models.get_model_weights(THEIR_NAMES.get(model, model))
        known = published.published()[model]
        names = {f"torchvision/{weights.name}" for weights in every} - {"torchvision/IMAGENET1K_FEATURES"}
        assert names == {name for name in known if name.startswith("torchvision/")}
        assert published.find(model, "torchvision").name == f"torchvision/{every.DEFAULT.name}"


def test_googlenet_sees_pixels_from_minus_one_to_one() -> None:
    source = published.find("googlenet", "torchvision")
    seen = enum_of(source).transforms()
    with torch.device("meta"):
        theirs = torchvision.models.googlenet(weights=None, init_weights=False, transform_input=True)
    pixels = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))

    def normalised(mean: Any, std: Any) -> Tensor:
        return (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)

    expected = theirs._transform_input(normalised(seen.mean, seen.std))
    assert torch.allclose(normalised(source.mean, source.std), expected, atol=1e-6)


def test_detectors_normalise_as_torchvisions_do() -> None:
    with torch.device("meta"):
        inside = torchvision.models.detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None).transform
    source = published.find("faster_rcnn_resnet50_fpn", "torchvision")
    assert (source.mean, source.std, source.resize) == (
        *map(tuple, (inside.image_mean, inside.image_std)),
        inside.min_size[0],
    )


@pytest.mark.parametrize("source", [s for s in ROWS if s.name.startswith("timm/")], ids=lambda s: f"{s.model} {s.name}")
def test_facts_are_timms_and_its_names_are_understood(source: PublishedWeights) -> None:
    timm = pytest.importorskip("timm")
    tag = source.name.split("/")[1]
    named = {"se_resnet50": "seresnet50", "vit_ti_16": "deit_tiny_patch16_224", "vit_s_16": "deit_small_patch16_224"}
    named |= {"vit_b_16": "deit_base_patch16_224"}
    name = named.get(source.model, source.model)
    told = timm.models.get_pretrained_cfg(f"{name}.{tag}")
    assert source.url == told.url
    assert source.licence.lower() == told.license
    assert (source.mean, source.std, source.interpolation) == (told.mean, told.std, told.interpolation)
    assert source.crop == told.input_size[1]
    assert source.resize == int(told.input_size[1] / told.crop_pct)
    assert source.classes == told.num_classes
    with torch.device("meta"):
        state = timm.create_model(name).state_dict()
    own = {key: x.shape for key, x in outline(source.model).state_dict().items()}
    assert own in [{key: x.shape for key, x in found.items()} for _, found in candidates(source.model, state)]


@pytest.mark.parametrize("source", THEIRS, ids=lambda s: f"{s.model} {s.name}")
def test_every_network_of_the_table_takes_torchvisions_names(source: PublishedWeights) -> None:
    """Shapes without numbers. Files may also have auxiliary heads that the network has not."""
    size: dict[str, Any] = {}
    if source.model.startswith("vit") and source.crop not in (224, None):
        size = {"image_size": source.crop}
    name = THEIR_NAMES.get(source.model, source.model)
    segments = source.model.startswith(("fcn", "deeplabv3")) or source.model in THEIR_NAMES
    plain = {"init_weights": False} if source.model == "googlenet" else {"weights_backbone": None} if segments else {}
    with torch.device("meta"):
        theirs = torchvision.models.get_model(name, weights=None, **plain, **size)
    ours = {"image_size": (source.crop, source.crop)} if size else {}
    own = {key: x.shape for key, x in outline(source.model, **ours).state_dict().items()}
    _, found = min(candidates(source.model, theirs.state_dict()), key=lambda pair: len(pair[1].keys() ^ own.keys()))
    assert {key: x.shape for key, x in found.items() if not key.startswith("aux_classifier")} == own


# ------------------------------------------------------------------------------------------------- modules, saved and loaded
def slim(network: nn.Module, layers: tuple[int, int, int], inputs: int) -> nn.Module:
    """Dense layers of 64 instead of 4096."""
    for layer, (a, b) in zip(layers, ((inputs, 64), (64, 64), (64, 10)), strict=True):
        network.classifier[layer] = nn.Linear(a, b)
    return network


def their_vit() -> nn.Module:
    vit = torchvision.models.VisionTransformer
    return vit(image_size=48, patch_size=16, num_layers=12, num_heads=3, hidden_dim=192, mlp_dim=768, num_classes=10)


def their_googlenet() -> nn.Module:
    return torchvision.models.googlenet(weights=None, num_classes=10, init_weights=False, transform_input=False)


def their_densenet() -> nn.Module:
    return torchvision.models.DenseNet(8, (6, 12, 24, 16), 16, num_classes=10)


def their_se_resnet() -> nn.Module:
    return pytest.importorskip("timm").create_model("seresnet50", num_classes=10)


# ours → how theirs is made, our options
def their_lite() -> nn.Module:
    """timm's port of the published network; torchvision has none."""
    return pytest.importorskip("timm").create_model("tf_efficientnet_lite0", num_classes=10)


PAIRS: dict[str, tuple[Callable[[], nn.Module], dict[str, Any]]] = {
    "alexnet": (lambda: slim(torchvision.models.alexnet(), (1, 4, 6), 9216), {"dense": (64, 64)}),
    "vgg11_bn": (lambda: slim(torchvision.models.vgg11_bn(), (0, 3, 6), 25088), {"dense": (64, 64)}),
    "googlenet": (their_googlenet, {}),
    "resnet18": (lambda: torchvision.models.resnet18(num_classes=10), {}),
    "resnext50_32x4d": (lambda: torchvision.models.resnext50_32x4d(num_classes=10), {}),
    "se_resnet50": (their_se_resnet, {}),
    "densenet121": (their_densenet, {"growth": 8}),
    "efficientnet_b0": (lambda: torchvision.models.efficientnet_b0(num_classes=10), {}),
    "efficientnet_lite0": (their_lite, {}),
    "mobilenet_v2": (lambda: torchvision.models.mobilenet_v2(num_classes=10), {}),
    "vit_ti_16": (their_vit, {"image_size": (48, 48)}),
}


def saved(path: Path, state: Mapping[str, Tensor]) -> Path:
    if path.suffix == ".pth":
        torch.save(dict(state), path)
    else:
        safetensors.torch.save_file(dict(state), path)
    return path


def close(ours: Tensor, theirs: Tensor) -> bool:
    scale = theirs.abs().max()
    assert 1e-4 < scale < 1e3
    return bool((ours - theirs).abs().max() <= 1e-5 * scale)


@pytest.mark.parametrize(("name", "suffix"), [*((name, ".safetensors") for name in PAIRS), ("resnet18", ".pth")])
@torch.no_grad()
def test_a_saved_module_loads_strictly_and_answers_alike(name: str, suffix: str, tmp_path: Path) -> None:
    make, options = PAIRS[name]
    theirs = make()
    fill_distinct(theirs, seed=1)
    network = create_model(name, num_classes=10, weights=saved(tmp_path / f"w{suffix}", theirs.state_dict()), **options)
    assert set(network.origin.loaded) == network.state_dict().keys()
    assert network.origin.head == network.origin.missing == network.origin.unexpected == ()
    side = 48 if "image_size" in options else 96
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    assert close(network.eval()(x), theirs.eval()(x))


@torch.no_grad()
def test_a_segmenter_leaves_the_auxiliary_head_out(tmp_path: Path) -> None:
    theirs = torchvision.models.segmentation.fcn_resnet50(
        weights=None, weights_backbone=None, num_classes=5, aux_loss=True
    )
    fill_distinct(theirs, seed=1)
    network = create_model(
        "fcn_resnet50", num_classes=5, weights=saved(tmp_path / "w.safetensors", theirs.state_dict())
    )
    assert set(network.origin.unexpected) == {key for key in theirs.state_dict() if key.startswith("aux_classifier")}
    x = torch.randn(1, 3, 49, 65, generator=torch.Generator().manual_seed(0))
    assert close(network.eval()(x), theirs.eval()(x)["out"])


def old_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As torchvision's files of before its version 0.13 name them."""
    renamed = {}
    for key, x in state.items():
        key = key.replace("_blocks.", "_blocks:").replace(".0.weight", ".weight") if "_blocks" in key else key
        key = key.replace(".0.bias", ".bias") if "_blocks" in key else key
        key = key.replace("_blocks:", "_blocks.").replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        if ".mask_head." in key:
            part, number, _, kind = key.rsplit(".", 3)
            key = f"{part}.mask_fcn{int(number) + 1}.{kind}"
        renamed[key] = x
    return renamed


@torch.no_grad()
def test_a_detector_of_old_names_and_frozen_norms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """torchvision's COCO_V1: norms without counters, ε of 0, names that its classes have changed since."""
    theirs = MaskRCNN(resnet_fpn_backbone(backbone_name="resnet18", weights=None, trainable_layers=0), num_classes=5)
    fill_distinct(theirs, seed=1)
    overwrite_eps(theirs, 0.0)
    old = old_names(theirs.state_dict())
    assert len(old.keys() - theirs.state_dict().keys()) == 2 * (8 + 1 + 4)
    theirs.load_state_dict(dict(old), strict=True)  # torchvision knows them too
    path = saved(tmp_path / "w.safetensors", old)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    source = published.find("mask_rcnn_resnet50_fpn", "torchvision")._replace(sha256=sha256)
    monkeypatch.setattr(published, "published", lambda: {"mask_rcnn_resnet18_fpn": {source.name: source}})
    ours = create_model("mask_rcnn_resnet18_fpn", norm="batch", num_classes=4, weights=path).eval()
    assert all(name.endswith("num_batches_tracked") for name in ours.origin.missing)
    assert len(ours.origin.missing) == 20
    assert ours.origin.unexpected == ours.origin.head == ()
    assert "were trained with ε = 0, which is folded" in capsys.readouterr().err
    theirs.eval()
    x = torch.randn(1, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    maps, expected = ours.features(x), list(theirs.backbone(x).values())
    assert all(close(a, b) for a, b in zip(maps, expected, strict=True))
    logits, _ = theirs.rpn.head(expected)
    assert close(
        torch.cat(ours.rpn["head"](maps)[0], 1), torch.cat([x.permute(0, 2, 3, 1).flatten(1) for x in logits], 1)
    )
    pooled = torch.randn(2, 256, 14, 14, generator=torch.Generator().manual_seed(1))
    heads, other = ours.roi_heads, theirs.roi_heads
    assert close(heads.mask_predictor(heads.mask_head(pooled)), other.mask_predictor(other.mask_head(pooled)))
    boxes = pooled[:, :, :7, :7]
    assert close(heads.box_predictor(heads.box_head(boxes))[0], other.box_predictor(other.box_head(boxes))[0])


@torch.no_grad()
def test_a_densenet_of_old_names(tmp_path: Path) -> None:
    """torchvision's published files have dots inside what is one name today."""
    theirs, again = their_densenet(), their_densenet()
    fill_distinct(theirs, seed=1)
    state = theirs.state_dict()
    old = {
        key.replace("norm1.", "norm.1.").replace("norm2.", "norm.2."): x
        for key, x in state.items()
        if "denselayer" in key
    }
    old = {key.replace("conv1.", "conv.1.").replace("conv2.", "conv.2."): x for key, x in old.items()}
    old |= {key: x for key, x in state.items() if "denselayer" not in key}
    old = {key: x for key, x in old.items() if not key.endswith("num_batches_tracked")}  # older than they are

    class Weights:
        def get_state_dict(self, **_: Any) -> dict[str, Tensor]:
            return dict(old)

    torchvision.models.densenet._load_state_dict(again, Weights(), progress=False)
    ours = create_model("densenet121", growth=8, num_classes=10, weights=saved(tmp_path / "w.safetensors", old))
    assert all(name.endswith("num_batches_tracked") for name in ours.origin.missing)
    assert ours.origin.unexpected == ()
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert close(ours.eval()(x), again.eval()(x))


def test_the_families_that_have_published_weights_are_compared() -> None:
    files = {MODELS[source.model].__module__ for source in ROWS} - {
        "sightline.models.pixels.fcn",
        "sightline.models.boxes.faster_rcnn",
        "sightline.models.boxes.single_shot.yolox",  # names and shapes: test_yolox
        "sightline.models.pixels.deeplab",  # with torchvision's in test_torchvision_segmentation
    }
    assert files == {MODELS[name].__module__ for name in PAIRS}
