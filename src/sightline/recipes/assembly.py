"""Recipe → network, optimisers, schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from sightline.data.orders import Order, shuffle, weighted
from sightline.engine import schedules
from sightline.engine.ema import Ema, Swa
from sightline.engine.optimizers import NONE, Pretrained, make_optimizer, one_a_turn
from sightline.engine.state import State
from sightline.errors import UsageError
from sightline.models.catalogue import PIXEL_SCORES
from sightline.models.create import create_model, head_tensors, load_into
from sightline.models.own import is_own, require_scores
from sightline.models.weights import LoadReport
from sightline.preprocessing.geometry import Geometry
from sightline.tasks.task import Task

from .arguments import model_arguments
from .recipe import Recipe

CORNER_PAD = 114  # level of the margins that YOLOX's weights were trained with
SMALL_BATCH = 256  # images; the defaults go up to half of it, whatever the number of images
# The schedules that use a key; the others ignore it.
SCHEDULED = {
    "rise": ("one_cycle",),
    "every": ("step",),
    "factor": ("step", "plateau"),
    "rate": ("exponential", "inverse_time"),
    "floor": ("cosine", "one_cycle"),
    "patience": ("plateau",),
}


def build_model(recipe: Recipe, classes: int, output: str) -> nn.Module:
    """The recipe's registered network, initialised from the recipe's seed. UsageError if its output is not `output`."""
    network = create_model(recipe.model.name, seed=recipe.seed, **model_arguments(recipe, classes, output))
    if is_own(recipe.model.name):
        require_scores(recipe.model.name, network, recipe.input.shape, classes, pixels=output == PIXEL_SCORES)
    return network


def load_start(recipe: Recipe, network: nn.Module, classes: Sequence[str], output: str) -> LoadReport:
    """Load the recipe's `model.weights` into its network; a new head starts at zero. A run's head is kept only for the same
    classes in the same order: others would inherit scores that mean something else. Raises what `models.weights.load`
    raises."""
    assert recipe.model.start
    arguments = model_arguments(recipe, len(classes), output)
    allowed = recipe.model.allow_network
    report = load_into(network, recipe.model.name, recipe.model.start, allow_network=allowed, **arguments)
    own = network.state_dict()
    run = report.of_run
    if run is not None and run.classes and run.classes != tuple(classes) and not report.head:
        head = head_names(recipe, len(classes), output) & own.keys()
        report = replace(
            report,
            head=tuple(name for name in own if name in head),
            loaded=tuple(name for name in report.loaded if name not in head),
        )
    for name in report.head:  # scores then start equal, whatever the scale of the features (Kolesnikov et al. 2019)
        own[name].zero_()
    return report


def head_names(recipe: Recipe, classes: int, output: str) -> set[str]:
    """The names of the tensors whose shape depends on the number of classes."""
    return head_tensors(recipe.model.name, model_arguments(recipe, classes, output))


def normalisation_of(
    weights: dict[str, Any] | None, network: nn.Module | None, channels: int
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean and deviation in 0-255 units with which the starting weights (`LoadReport.record`) were trained, or with which the
    network was published; None if they are to be measured on the data."""
    known = weights["preprocessing"] if weights else None
    if known is None:
        own: tuple[float, float] | None = getattr(network, "normalisation", None)
        return own and ((own[0],) * channels, (own[1],) * channels)
    mean, std = (tuple(255 * value for value in known[key]) for key in ("mean", "std"))
    return mean, std


def build_geometry(recipe: Recipe) -> Geometry:
    pad = CORNER_PAD if recipe.input.fit == "corner" else Geometry.pad
    return Geometry(height=recipe.input.size, width=recipe.input.width, fit=recipe.input.fit, pad=pad)


def class_weight(rule: str, amounts: Int[np.ndarray, "k"]) -> Tensor | None:
    """The weight of each class in the loss: n / (k · n_class), where n counts training images, pixels or objects."""
    if rule == "none":
        return None
    return torch.from_numpy(amounts.sum() / (len(amounts) * np.maximum(amounts, 1))).float()


def build_order(recipe: Recipe, index: Int[np.ndarray, "n"], counts: Int[np.ndarray, "k"]) -> Order:
    if recipe.data.balance == "none":
        return shuffle(len(index))
    return weighted(np.where(index >= 0, 1.0 / np.maximum(counts, 1)[index], 0.0))


def build_optimizers(
    recipe: Recipe, task: Task, device: str = "cpu", pretrained: Pretrained = NONE
) -> dict[str, torch.optim.Optimizer]:
    """An optimiser for each turn, for networks that will be trained on `device`."""
    optim = recipe.optim
    return one_a_turn(
        task,
        optim.name,
        lr=optim.lr,
        momentum=optim.momentum or 0.0,
        nesterov=bool(optim.nesterov),
        betas=(optim.beta1, optim.beta2),
        weight_decay=optim.weight_decay or 0.0,
        decay_all=optim.decay_all,
        device=device,
        pretrained=pretrained,
        frozen=task.frozen.parameters,
        l1=optim.l1 or 0.0,
        layer_decay=optim.layer_decay,
    )


def build_average(recipe: Recipe, task: Task, steps: int) -> Ema | None:
    """The average of the weights that the recipe asks for, of a training of so many steps."""
    if recipe.fit.swa:
        return Swa(task, steps - max(round(recipe.fit.swa * steps), 1))
    return Ema(task, recipe.fit.ema) if recipe.fit.ema else None


def build_schedule(recipe: Recipe, steps: int, per_epoch: float) -> Callable[[State], float]:
    """The factor of the learning rate as a function of the state (of its step; for plateau, of its history). `per_epoch` is
    the number of steps of an epoch, not rounded."""
    plan = recipe.schedule
    forms: dict[str, schedules.Schedule] = {
        "constant": schedules.constant,
        "step": partial(schedules.step_decay, every=max(round(plan.every * per_epoch), 1), factor=plan.factor),
        "exponential": partial(schedules.exponential, rate=plan.rate / per_epoch),
        "inverse_time": partial(schedules.inverse_time, rate=plan.rate / per_epoch),
        "cosine": partial(schedules.cosine, steps=steps, floor=plan.floor),
        "one_cycle": partial(schedules.one_cycle, steps=steps, rise=plan.rise, floor=plan.floor),
        "plateau": schedules.constant,
    }
    form = schedules.warmed(forms[plan.name], warmup=math.ceil(plan.warmup * steps))
    if plan.name != "plateau":
        return lambda state: form(state.step)

    def by_history(state: State) -> float:
        losses: Sequence[float] = [row["val_loss"] for row in state.history if row.get("val_loss") is not None]
        return form(state.step) * schedules.plateau(losses, factor=plan.factor, patience=plan.patience)

    return by_history


def check(recipe: Recipe, *, validation_loss: bool) -> None:
    """Raises UsageError for values that contradict each other, before anything is written. `validation_loss`: whether this
    kind of task has a validation loss."""
    if recipe.fit.batch % recipe.fit.accumulate:
        raise UsageError(
            f"fit.batch={recipe.fit.batch} cannot be split into fit.accumulate={recipe.fit.accumulate} equal parts",
            "choose a fit.batch that is a multiple of fit.accumulate",
        )
    if recipe.schedule.name == "plateau" and not validation_loss:
        raise UsageError(
            f"schedule.name=plateau follows the validation loss, and {recipe.task.kind} has none",
            "use schedule.name=cosine or step",
        )
    for key, names in SCHEDULED.items():
        value, default = getattr(recipe.schedule, key), type(recipe.schedule).model_fields[key].default
        if value != default and recipe.schedule.name not in names:
            raise UsageError(
                f"schedule.{key} has no effect with schedule.name={recipe.schedule.name}",
                f"leave it out, or use schedule.name={' or '.join(names)}",
            )
    if recipe.fit.swa and recipe.fit.ema:
        raise UsageError("fit.swa and fit.ema are two averages of the weights", "set fit.ema=0, or leave fit.swa out")
    optim = recipe.optim
    make_optimizer(
        optim.name,
        [nn.Linear(1, 1)],
        lr=optim.lr,
        momentum=optim.momentum or 0.0,
        nesterov=bool(optim.nesterov),
        betas=(optim.beta1, optim.beta2),
        weight_decay=optim.weight_decay or 0.0,
    )


def check_norms(recipe: Recipe, layers: Iterable[Mapping[str, Any]]) -> None:
    """UsageError for a network (its layers as `describe` lists them) whose batch norms would see one value a channel, which
    has no variance: a micro-batch of one image at a layer of one pixel."""
    if recipe.fit.batch > recipe.fit.accumulate:
        return
    for row in layers:
        if "BatchNorm" in row["kind"] and row["output"] and math.prod(row["output"][1:]) == 1:
            raise UsageError(
                f"fit.batch={recipe.fit.batch} and input.size={recipe.input.size} leave the norm {row['name']} of "
                f"{recipe.model.name} one value a channel",
                "use a larger fit.batch or input.size",
            )


def check_batch(recipe: Recipe, n: int) -> None:
    """UsageError for a batch of more images than there are, beyond the size at which repeating them costs nothing."""
    if recipe.fit.batch > max(n, SMALL_BATCH):
        raise UsageError(
            f"fit.batch={recipe.fit.batch:,} is more than the {n:,} training images", f"use fit.batch={n} or less"
        )


def steps_of(recipe: Recipe, n: int) -> tuple[int, int]:
    """(all steps, steps between validations: about an epoch) for n training images."""
    return max(math.ceil(recipe.fit.epochs * n / recipe.fit.batch), 1), max(round(n / recipe.fit.batch), 1)
