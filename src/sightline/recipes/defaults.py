"""The defaults for keys that the recipe leaves open: the table of `docs/defaults.md` as code.

The rules depend on the training images: how many, how large, grey or colour, how many classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import nn

from sightline.models.create import default_input, outline
from sightline.models.options import model_options

from .arguments import SMALL_PATCHES, model_arguments
from .fine_tuning import CLASSIFIER, PHOTOGRAPH, RATE, WEIGHTS, has_default_weights, of_colour, tuning_defaults
from .recipe import Draft
from .section import CLOSE, closes
from .solving import is_solved, solved_sections

SMALL_SIDE = 40  # pixels; up to this side, images are digits, signs or thumbnails
MEDIUM_SIDE = 72
OWN_SIZE = {
    "lenet_1989": 16,
    "lenet5": 32,
    "lenet5_original": 32,
}  # input sizes of networks for digits, whatever the size of the images
LARGE_INPUT = 96  # input size for images that are larger
SMALL_INPUT = 32  # smallest input size for networks designed for large images
HEAVY = 1_000_000  # number of parameters from which adamw gets a lower rate
_IMAGES_SEEN = 60_000  # a training on a small data set shows about this many images


@dataclass(frozen=True)
class Traits:
    """The properties of the data that the rules use: `n` training images, their median height and width, `grey`, whether they
    share one aspect ratio, the number of `classes`, what is annotated (`Dataset.knows`), the side of a small object as a
    share of its image's side, and whether two classes are `mirrored`: each other's mirror image by their names. `objects`:
    of training boxes, or of those of some images, width and height as shares of the image, and its width / height."""

    n: int
    height: int
    width: int
    grey: bool
    one_aspect: bool
    classes: int
    knows: str = "labels"
    small_object: float = 0.1
    mirrored: bool = False
    objects: tuple[tuple[float, float, float], ...] = ()


Filled = dict[str, dict[str, Any]]  # section → key → value


def classifier_defaults(recipe: Draft, traits: Traits, *, output: str) -> Filled:
    """Defaults for networks with one output per image; `output` is the heading under which they are registered."""
    side = max(traits.height, traits.width)
    recipe = _with_pretrained(recipe, traits, CLASSIFIER)
    tuned = recipe.model.start is not None
    channels = recipe.input.channels or (1 if traits.grey and not of_colour(recipe.model.start) else 3)
    name = recipe.model.name or _model(side, channels)
    size = recipe.input.size or _input(recipe, name, side, output)
    shape = {"size": size, "width": recipe.input.width or size, "channels": channels}
    network = _network(recipe, name, shape, traits.classes, output)
    if is_solved(name):
        fit = recipe.input.fit or ("stretch" if traits.one_aspect else "crop")
        return {"model": {"name": name}, "input": {**shape, "fit": fit}, **solved_sections(recipe, network)}
    optimizer = recipe.optim.name or ("sgd" if _is_normed(network) else "adamw")
    batch = recipe.fit.batch or (32 if traits.n < 1_000 else 64 if traits.n < 10_000 else 128)
    optim = _optimizer(recipe, optimizer, batch, adamw=_adamw_rate(network))
    epochs = _epochs(traits.n)
    tuning: Filled = {"model": {}, "optim": {}}
    if tuned:  # fine-tuning needs fewer epochs
        epochs = max(math.ceil(epochs / 3), 5)
        tuning = tuning_defaults(recipe, network, n=traits.n, grey=traits.grey)
    return {
        "model": {"name": name, "weights": recipe.model.weights, **tuning["model"]},
        "input": {**shape, "fit": recipe.input.fit or ("stretch" if traits.one_aspect else "crop")},
        "augment": {
            "preset": recipe.augment.preset or ("standard" if traits.n < 2_000 and channels == 3 else "light"),
            "flip": recipe.augment.flip if recipe.augment.flip is not None else channels == 3 and not traits.mirrored,
            "close": closes(recipe.augment, 0.0),
        },
        "optim": {"name": optimizer, **optim, **tuning["optim"]},
        "fit": {"batch": batch, "epochs": recipe.fit.epochs or epochs},
    }


def dense_defaults(
    recipe: Draft,
    traits: Traits,
    *,
    model: str,
    pixels: int,
    batch: int,
    steps: int,
    adamw: float,
    pretrained: str | None = None,
) -> Filled:
    """Defaults for pixels and boxes: images keep their aspect ratio and are shrunk to a budget of `pixels` (never enlarged),
    with sides that are multiples of 32; as many epochs as give about `steps` steps. `pretrained` is the network for
    photographs where its weights are installed."""
    if pretrained is not None:
        recipe = _with_pretrained(recipe, traits, pretrained)
    channels = recipe.input.channels or (1 if traits.grey else 3)
    shrink = min(1.0, math.sqrt(pixels / (traits.height * traits.width)))
    height, width = (max(round(side * shrink / 32), 1) * 32 for side in (traits.height, traits.width))
    if recipe.input.size:  # the size alone means a square
        height, width = recipe.input.size, recipe.input.width or recipe.input.size
    elif recipe.input.width:  # the width alone keeps the aspect ratio
        height = max(round(recipe.input.width * traits.height / traits.width / 32), 1) * 32
        width = recipe.input.width
    name, optimizer = recipe.model.name or model, recipe.optim.name or "adamw"
    batch = recipe.fit.batch or batch
    values, start = _optimizer(recipe, optimizer, batch, adamw=adamw), {}
    if pretrained is not None and recipe.model.start is not None:
        start = {"weights": recipe.model.weights}
        values["pretrained_rate"] = recipe.optim.pretrained_rate or RATE
    return {
        "model": {"name": name, **start},
        "input": {
            "size": height,
            "width": width,
            "channels": channels,
            "fit": recipe.input.fit or ("stretch" if traits.one_aspect else "letterbox"),
        },
        "augment": {
            "preset": recipe.augment.preset or "light",
            "flip": recipe.augment.flip if recipe.augment.flip is not None else not traits.mirrored,
            "close": closes(recipe.augment, CLOSE),
        },
        "optim": {"name": optimizer, **values},
        "fit": {
            "batch": batch,
            "epochs": recipe.fit.epochs or min(max(math.ceil(steps * batch / max(traits.n, 1)), 5), 100),
            "clip": 10.0 if recipe.fit.clip is None else recipe.fit.clip,
        },
    }


def _with_pretrained(recipe: Draft, traits: Traits, name: str) -> Draft:
    """The draft with a pretrained network where it names none, the images are colour photographs, and the package with the
    weights is installed."""
    chosen = recipe.model.name is not None or recipe.model.weights is not None
    photographs = not traits.grey and min(traits.height, traits.width) >= PHOTOGRAPH and recipe.input.channels != 1
    if chosen or not photographs or not has_default_weights():
        return recipe
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"name": name, "weights": WEIGHTS})})


def _model(side: int, channels: int) -> str:
    if side <= SMALL_SIDE and channels == 1:
        return "lenet5"
    return "resnet20" if side <= MEDIUM_SIDE else "resnet18"


def _input(recipe: Draft, model: str, side: int, output: str) -> int:
    if recipe.model.start is not None:
        return max(default_input(model)[1:])
    if model in OWN_SIZE:
        return OWN_SIZE[model]
    if model.startswith("vit_") and side > SMALL_PATCHES:
        return LARGE_INPUT
    least = SMALL_INPUT if "small_images" in model_options(model) else 8
    size = max(side + -side % 4, least) if side <= MEDIUM_SIDE else LARGE_INPUT
    shape = {"size": size, "width": size, "channels": recipe.input.channels or 3}
    network: Any = _network(recipe, model, shape, 2, output)
    needed = max(getattr(network, "smallest", 0), getattr(network, "smallest_to_train", 0))
    return max(size, needed + -needed % 4)


def _network(recipe: Draft, model: str, shape: dict[str, int], classes: int, output: str) -> nn.Module:
    """The network that the recipe describes, without weights."""
    parts = {"model": {"name": model}, "input": shape}
    known = {key: getattr(recipe, key).model_copy(update=values) for key, values in parts.items()}
    return outline(model, **model_arguments(recipe.model_copy(update=known), max(classes, 1), output))


def _epochs(n: int) -> int:
    return int(min(max(math.ceil(_IMAGES_SEEN / max(n, 1)), 15), 60))


def _is_normed(network: nn.Module) -> bool:
    """Whether the network has batch or group norms, and so trains well with sgd at a high rate."""
    return any(isinstance(layer, nn.BatchNorm2d | nn.GroupNorm) for layer in network.modules())


def _adamw_rate(network: nn.Module) -> float:
    return 5e-4 if sum(p.numel() for p in network.parameters()) > HEAVY else 2e-3


def _optimizer(recipe: Draft, name: str, batch: int, *, adamw: float) -> dict[str, Any]:
    given = recipe.optim
    if name == "sgd":
        values = {"lr": 0.1 * batch / 128, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
        if given.momentum == 0:
            values["nesterov"] = False
    else:
        rates = {"adamw": adamw, "muon": adamw, "lion": adamw / 5, "lamb": 5 * adamw, "adagrad": 0.01, "adadelta": 1.0}
        decay = {"adamw": 0.01, "muon": 0.01, "lion": 0.05, "lamb": 0.01}.get(name, 0.0)
        momentum = 0.95 if name == "muon" else 0.0
        values = {"lr": rates.get(name, 2e-3), "momentum": momentum, "nesterov": False, "weight_decay": decay}
    return {key: value if getattr(given, key) is None else getattr(given, key) for key, value in values.items()}
