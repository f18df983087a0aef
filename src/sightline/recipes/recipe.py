"""A recipe: everything that determines a training, typed and flat; unknown keys are errors.

A `Draft` is what the user wrote and may leave keys open. A `Recipe` is complete: the kind of task has filled the open
keys by its rules, so the recipe that a run saves is self-contained. Values come from YAML and `dotted.key=value`
overrides. Nothing is constructed from strings except the model and the data set, by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    SerializeAsAny,
)

from .section import SINGLE, AugmentSection, Count, DraftAugment, Rate, RateOrZero, Share
from .section import Fraction as Fraction  # of the sections of kinds
from .section import Section as Section


def _word(name: str) -> str:
    """The name of a folder in $SIGHTLINE_DATA, which cannot lead out of it."""
    if name in ("", ".", "..") or set(name) & set("/\\\0"):
        raise ValueError("it is a path, not a name: use data.path")
    return name


def _device(name: object) -> str:
    text = f"cuda:{name}" if str(name).isdecimal() else str(name)
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", text):
        raise ValueError("it is no device: use auto, cpu, cuda, mps, or the number of a GPU")
    return text


class DataSection(Section):
    name: Annotated[str, AfterValidator(_word)] | None = Field(
        None, description="a built-in data set; without path, read from $SIGHTLINE_DATA/<name>"
    )
    path: str | None = Field(None, description="a folder or file of your own, or an address")
    val: Fraction | None = Field(None, description="share for validation where the data gives no split (0.15)")
    test: Fraction | None = Field(None, description="share for the test where the data gives no split (0.15)")
    split_rule: Literal["class", "threshold"] | None = Field(
        None, description="class: shares kept in every class; threshold: as runs before 0.2 were split"
    )
    fold: Annotated[str, Field(pattern=r"^[1-9][0-9]?/[1-9][0-9]?$")] | None = Field(
        None, description="2/5: the second of five folds is the test split, the others train; splits are not kept"
    )
    label: Annotated[str, Field(min_length=1)] | None = Field(None, description="the column of a table with the labels")
    group: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="the column of a table whose equal values stay on one side of every split, such as patient"
    )
    near: Literal["group"] | None = Field(None, description="group: near-duplicates stay on one side of every split")
    share: Annotated[float, Field(gt=0, le=1)] | None = Field(None, description="share of each class to train on")
    leaks: Literal["stop", "drop", "keep"] = Field("stop", description="identical pixels in two given splits")
    max_quarantined: Annotated[float, Field(ge=0, le=1)] | None = Field(None, description="share that stops the run")
    balance: Literal["none", "sample"] = Field("none", description="sample: draw every class equally often")
    cache: Literal["auto", "memory", "off"] = Field("auto", description="keep decoded images in memory")
    workers: Annotated[int, Field(ge=0, le=64)] = Field(2, description="threads that decode ahead without a cache")
    allow_network: bool = Field(False, description="fetch data at an address that are not in the cache")


class DraftModel(Section):
    name: str | None = Field(None, description="see `sightline models`")
    options: dict[str, Any] = Field(default_factory=dict, description="the family's own options; see `describe`")
    weights: str | None = Field(
        None,
        description="what it starts from: a file, a run, hf:owner/name, published weights such as torchvision, or none",
    )
    freeze: Annotated[int, Field(ge=1)] | Literal["none", "trunk"] | None = Field(
        None, description="parts that do not learn: all but the new head (trunk), or the first N that have weights"
    )
    freeze_norms: bool | None = Field(None, description="batch norms keep the statistics and scales of the weights")
    head_first: Fraction | None = Field(None, description="share of the steps in which the new head learns alone")
    allow_network: bool = Field(False, description="fetch published weights that are not in the cache")

    @property
    def start(self) -> str | None:
        """The weights that it starts from; None if it starts from random ones."""
        return None if self.weights == "none" else self.weights


class DraftInput(Section):
    size: Annotated[int, Field(ge=1, le=4096)] | None = Field(None, description="height of the input, pixels")
    width: Annotated[int, Field(ge=1, le=4096)] | None = Field(
        None, description="its width; without it the same, a square"
    )
    channels: Literal[1, 3] | None = None
    fit: Literal["stretch", "letterbox", "corner", "crop"] | None = Field(
        None, description="how images are fitted to the input"
    )


class TaskSection(Section):
    """`task.`: the keys of a kind of task. Each kind has its own section."""

    kind: str


Optimizer = Literal["sgd", "adamw", "adam", "rmsprop", "adagrad", "adadelta", "lion", "lamb", "muon"]
TASKS: dict[str, type[TaskSection]] = {}  # by kind, the default first; `sightline.kinds` fills it


def _task_section(value: Any) -> Any:
    """A mapping as the section of its kind; without `kind`, of the default kind."""
    if value is None or isinstance(value, TaskSection):
        return value
    kind = value.get("kind", next(iter(TASKS), None)) if isinstance(value, dict) else None
    if kind not in TASKS:
        raise ValueError(f"unknown kind of task {kind!r}; known: {', '.join(TASKS)}")
    return TASKS[kind].model_validate({"kind": kind} | value)


Task = Annotated[SerializeAsAny[TaskSection], BeforeValidator(_task_section)]


class DraftOptim(Section):
    name: Optimizer | None = None
    lr: Rate | None = Field(None, description="the highest rate that the schedule reaches")
    momentum: Fraction | None = None
    nesterov: bool | None = None
    beta1: Fraction | None = Field(None, description="adam, adamw, lamb, lion: decay of the gradients' mean (0.9)")
    beta2: Fraction | None = Field(
        None, description="adam, adamw, lamb: decay of the mean of their squares (0.999); lion: its second (0.99)"
    )
    weight_decay: RateOrZero | None = None
    decay_all: bool = Field(True, description="off: biases and normalisation scales are not decayed")
    pretrained_rate: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="factor on the rate of parameters that the weights brought along (0.1)"
    )
    l1: RateOrZero | None = Field(
        None, description="penalty on the sum of the weights' sizes: many become exactly zero"
    )
    layer_decay: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="each part of the network learns at this factor of the next part's rate"
    )
    sam: Rate | None = Field(None, description="radius of sharpness-aware minimisation (0.05): two passes a step")


class ScheduleSection(Section):
    name: Literal["constant", "step", "exponential", "inverse_time", "cosine", "one_cycle", "plateau"] = "one_cycle"
    warmup: Fraction = Field(0.0, description="share of the steps that climb linearly")
    rise: Fraction = Field(0.3, description="one_cycle: share of the steps that climb")
    every: Rate = Field(10.0, description="step: epochs between drops")
    factor: Annotated[float, Field(gt=0, lt=1)] = Field(0.1, description="step, plateau: what each drop multiplies by")
    rate: RateOrZero = Field(0.1, description="exponential, inverse_time: decay per epoch")
    floor: Fraction = Field(0.0, description="cosine, one_cycle: where they end, as a share of lr")
    patience: Count = Field(2, description="plateau: epochs without improvement")


class DraftFit(Section):
    epochs: Rate | None = None
    batch: PositiveInt | None = Field(None, le=1_000_000, description="images of one optimiser step")
    accumulate: Count = Field(1, description="micro-batches that make up a batch")
    clip: Annotated[NonNegativeFloat, Field(le=1e30)] | None = Field(
        None, description="largest gradient norm; 0 is off"
    )
    ema: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="decay of the weights' average; 0 is off")
    swa: Share | None = Field(None, description="share of the steps, the last ones, whose weights are averaged alike")
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    device: Annotated[str, BeforeValidator(_device)] = Field(
        "auto", description="auto, cpu, cuda, mps, or a GPU: 0, cuda:1"
    )
    threads: NonNegativeInt = Field(
        0, le=1024, description="compute threads; 0 is one for small networks, else torch's choice"
    )
    compile: bool = Field(False, description="train through torch.compile: a slower start, faster steps, other bits")
    monitor: str | None = Field(None, description="the metric of validation that decides; None: the task's own")
    patience: Count | None = Field(None, description="stop after this many validations without improvement")
    commit_every: Count | None = Field(None, description="steps between checkpoints; each validation also commits")


def _place(value: bool | str) -> bool | str:
    """YAML 1.2 has no words for true and false but these."""
    if isinstance(value, str) and value.lower() in ("", "on", "off", "yes", "no", "none"):
        raise ValueError("it is true, false or a place")
    return value


Place = Annotated[bool | str, AfterValidator(_place)]


class TrackSection(Section):
    """Where else the figures of a training go. Nothing here changes the training."""

    tensorboard: Place = Field(False, description="event files for TensorBoard: true, or a folder for many runs")
    mlflow: Place = Field(False, description="an MLflow run: true, a folder, or the address of a store")
    allow_network: bool = Field(False, description="send figures to a store on another machine")


class Draft(Section):
    """A recipe that may leave keys open (None). `seed` keys every random draw of the training."""

    seed: Annotated[NonNegativeInt, Field(le=(1 << 63) - 1)] = 0
    data: DataSection = DataSection()
    model: DraftModel = DraftModel()
    input: DraftInput = DraftInput()
    augment: DraftAugment = DraftAugment()
    task: Task | None = None
    optim: DraftOptim = DraftOptim()
    schedule: ScheduleSection = ScheduleSection()
    fit: DraftFit = DraftFit()
    track: TrackSection = TrackSection()


class ModelSection(DraftModel):
    name: str


class InputSection(DraftInput):
    size: Annotated[int, Field(ge=1, le=4096)]
    width: Annotated[int, Field(ge=1, le=4096)]
    channels: Literal[1, 3]
    fit: Literal["stretch", "letterbox", "corner", "crop"]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width)"""
        return self.channels, self.size, self.width


class OptimSection(DraftOptim):
    name: Optimizer
    lr: Rate


class FitSection(DraftFit):
    epochs: Rate
    batch: Annotated[PositiveInt, Field(le=1_000_000)]


class Recipe(Draft):
    """A complete recipe, which describes the same training on every machine."""

    model: ModelSection
    input: InputSection
    augment: AugmentSection
    task: Task
    optim: OptimSection
    fit: FitSection


def completed(draft: Draft, **sections: Section | Mapping[str, Any]) -> Recipe:
    """The draft with these sections, or these keys of sections, filled. ValidationError if a key is still open."""
    values: dict[str, Any] = {name: getattr(draft, name) for name in Draft.model_fields}
    for name, given in sections.items():
        values[name] = given if isinstance(given, Section) else values[name].model_copy(update=dict(given))
    gaps = ("model", "input", "augment", "optim", "fit")
    return Recipe.model_validate(values | {name: values[name].model_dump() for name in gaps})


# Keys that came later: absent from the identity of a run that leaves them open, as in those of runs made before.
ADDED = {
    "data": {"fold", "label", "group", "near", "share"},
    "model": {"freeze", "freeze_norms", "head_first"},
    "augment": {"policy", "mosaic", "mosaic_scale", "mixup", "cutmix", "alpha", "cutout", "close", *SINGLE},
    "optim": {"pretrained_rate", "beta1", "beta2", "l1", "layer_decay", "sam"},
    "fit": {"swa"},
    "task": {"adversarial", "eps", "steps", "assignment"},
}

# Keys that may differ between two starts of a run without changing its result.
INCIDENTAL = {
    "data": {"cache", "workers", "allow_network"},
    "model": {"allow_network"},
    "fit": {"commit_every", "device"},
}


# Every key that `data` had before `split_rule`: a recipe with all of them and without it was saved by a run of that time.
_DATA_BEFORE = {"name", "path", "val", "test", "leaks", "max_quarantined", "balance", "cache", "workers"}


def with_split_rule(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The section `data` as written; the rule of its time is added to one that an earlier run saved."""
    return {**data, "split_rule": "threshold"} if data.keys() == _DATA_BEFORE else data


def identity(recipe: Recipe) -> dict[str, Any]:
    """The recipe without keys that cannot change the result: equal for two starts of the same run, also of one that began
    before there was a choice of split rules."""
    whole = recipe.model_dump(mode="json", exclude={"track"})
    if whole["data"]["split_rule"] == "threshold":
        del whole["data"]["split_rule"]

    def counts(section: str, key: str, value: Any) -> bool:
        absent = value is None and key in ADDED.get(section, ())
        return key not in INCIDENTAL.get(section, ()) and not absent

    return {
        name: {k: v for k, v in part.items() if counts(name, k, v)} if isinstance(part, dict) else part
        for name, part in whole.items()
    }
