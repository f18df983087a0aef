"""A recipe: everything that decides a training, typed, closed and flat. What is None here is filled from the data by
the rules in `defaults`, so the recipe that a run saves says it all.

YAML gives the values, `dotted.key=value` overrides them. Nothing is inherited and nothing is built from strings but
the names of the model and of the data set.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

Fraction = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """Frozen, and a key that does not exist is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataSection(Section):
    name: str | None = Field(None, description="a built-in data set; without path, read from $SIGHTLINE_DATA/<name>")
    path: str | None = Field(None, description="a folder or file of your own")
    val: Fraction | None = Field(None, description="share for validation where the data gives no split (0.15)")
    test: Fraction | None = Field(None, description="share for the test where the data gives no split (0.15)")
    leaks: Literal["stop", "drop", "keep"] = Field("stop", description="identical pixels in two given splits")
    max_quarantined: Annotated[float, Field(ge=0, le=1)] | None = Field(None, description="share that stops the run")
    balance: Literal["none", "sample"] = Field("none", description="sample: draw every class equally often")
    cache: Literal["auto", "memory", "off"] = Field("auto", description="keep decoded images in memory")
    workers: Annotated[int, Field(ge=0, le=64)] = Field(
        2, description="threads that decode ahead where nothing is cached"
    )


class ModelSection(Section):
    name: str | None = Field(None, description="see `sightline models`")
    options: dict[str, Any] = Field(default_factory=dict, description="the family's own options; see `describe`")
    weights: str | None = Field(None, description="what it starts from: a file, or published ones such as torchvision")
    allow_network: bool = Field(False, description="fetch published weights that are not in the cache")


class InputSection(Section):
    size: Annotated[int, Field(ge=1, le=4096)] | None = Field(None, description="height of the input, pixels")
    width: Annotated[int, Field(ge=1, le=4096)] | None = Field(
        None, description="its width; without it the same, a square"
    )
    channels: Literal[1, 3] | None = None
    fit: Literal["stretch", "letterbox", "crop"] | None = Field(None, description="how images are fitted to the input")


class AugmentSection(Section):
    preset: Literal["none", "light", "standard"] | None = None
    flip: bool | None = Field(None, description="mirror left and right; turn it off for text")


ClassWeight = Annotated[
    Literal["none", "balanced"], Field(description="balanced: n / (classes · n of the class), n images or pixels")
]


class ClassificationSection(Section):
    kind: Literal["classification"] = "classification"
    loss: Literal["cross_entropy", "hinge"] = "cross_entropy"
    label_smoothing: Fraction = 0.0
    class_weight: ClassWeight = "none"


class SegmentationSection(Section):
    kind: Literal["segmentation"]
    loss: Literal["cross_entropy", "dice", "cross_entropy+dice", "focal"] = "cross_entropy+dice"
    class_weight: ClassWeight = "none"


class Found(Section):
    score_threshold: Annotated[float, Field(ge=0, le=0.01)] = Field(0.01, description="lower scores are not reported")
    nms_threshold: Fraction = Field(0.5, description="of two boxes of a class that overlap more, the better one stays")
    limit: PositiveInt = Field(100, description="most objects of an image")


class DetectionSection(Found):
    kind: Literal["detection"]


class InstancesSection(Found):
    kind: Literal["instances"]


TASKS: dict[str, type[Section]] = {
    "classification": ClassificationSection,
    "segmentation": SegmentationSection,
    "detection": DetectionSection,
    "instances": InstancesSection,
}
AnyTask = Annotated[
    ClassificationSection | SegmentationSection | DetectionSection | InstancesSection, Field(discriminator="kind")
]


class OptimSection(Section):
    name: Literal["sgd", "adamw", "adam", "rmsprop", "adagrad", "adadelta"] | None = None
    lr: PositiveFloat | None = Field(None, description="the highest rate that the schedule reaches")
    momentum: Fraction | None = None
    nesterov: bool | None = None
    weight_decay: NonNegativeFloat | None = None
    decay_all: bool = Field(True, description="off: biases and normalisation scales are not decayed")


class ScheduleSection(Section):
    name: Literal["constant", "step", "exponential", "inverse_time", "cosine", "one_cycle", "plateau"] = "one_cycle"
    warmup: Fraction = Field(0.0, description="share of the steps that climb linearly")
    rise: Fraction = Field(0.3, description="one_cycle: share of the steps that climb")
    every: PositiveFloat = Field(10.0, description="step: epochs between drops")
    factor: Annotated[float, Field(gt=0, lt=1)] = Field(0.1, description="step, plateau: what each drop multiplies by")
    rate: NonNegativeFloat = Field(0.1, description="exponential, inverse_time: decay per epoch")
    floor: Fraction = Field(0.0, description="cosine, one_cycle: where they end, as a share of lr")
    patience: PositiveInt = Field(2, description="plateau: epochs without improvement")


class FitSection(Section):
    epochs: PositiveFloat | None = None
    batch: PositiveInt | None = Field(None, le=1_000_000, description="images of one optimiser step")
    accumulate: PositiveInt = Field(1, description="micro-batches that make up a batch")
    clip: NonNegativeFloat | None = Field(None, description="largest gradient norm; 0 is off")
    ema: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="decay of the weights' average; 0 is off")
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    threads: NonNegativeInt = Field(
        0, le=1024, description="compute threads; 0 is one for small networks, else torch's choice"
    )
    compile: bool = Field(False, description="train through torch.compile: a slower start, faster steps, other bits")
    monitor: Literal[
        "loss", "accuracy", "balanced_accuracy", "macro_f1", "mcc", "mean_iou", "pixel_accuracy", "mean_dice",
        "ap", "ap50", "mask_ap", "mask_ap50",
    ] | None = Field(None, description="the metric of validation that decides; None: the task's own")  # fmt: skip
    patience: PositiveInt | None = Field(None, description="stop after this many validations without improvement")
    commit_every: PositiveInt | None = Field(
        None, description="steps between checkpoints; each validation also commits"
    )


class Recipe(Section):
    """One training. `seed` keys every draw in it."""

    seed: NonNegativeInt = 0
    data: DataSection = DataSection()
    model: ModelSection = ModelSection()
    input: InputSection = InputSection()
    augment: AugmentSection = AugmentSection()
    task: AnyTask = ClassificationSection()  # where nobody gives one, what the data answer; see `defaults`
    optim: OptimSection = OptimSection()
    schedule: ScheduleSection = ScheduleSection()
    fit: FitSection = FitSection()


# What may differ between two starts of one run without changing its result.
INCIDENTAL = {"data": {"cache", "workers"}, "model": {"allow_network"}, "fit": {"commit_every", "device"}}


def identity(recipe: Recipe) -> dict[str, Any]:
    """The recipe without what cannot change its result: equal for two starts of the same run."""
    whole = recipe.model_dump(mode="json")
    return {
        name: {k: v for k, v in part.items() if k not in INCIDENTAL.get(name, ())} if isinstance(part, dict) else part
        for name, part in whole.items()
    }
