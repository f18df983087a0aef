"""A kind of task: one frozen record with everything that the package needs to know about it.

Verbs use `kind_of(run)`; nothing else branches on the kind. Callables are pure; what a kind cannot do is None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from jaxtyping import UInt8
from pydantic import Field
from torch import Tensor, nn

from sightline.attacks.aim import Aim
from sightline.data.dataset import Dataset, Needs
from sightline.data.loaders import Images
from sightline.data.orders import Order
from sightline.data.records.source import Source
from sightline.drawing.predictions import Painter
from sightline.evaluation.diagnosis.slices import ImageScores
from sightline.evaluation.label_errors.finding import LabelFindings
from sightline.explanation.question import Ask
from sightline.exports.plan import Export
from sightline.preprocessing.normalise import Normalised
from sightline.preprocessing.saved import Preprocessing
from sightline.recipes.defaults import Filled, Traits
from sightline.recipes.loading import Truths, load, statistics
from sightline.recipes.recipe import Draft, Recipe, TaskSection
from sightline.recipes.trunks import Trunk
from sightline.reports.chapter import Chapter
from sightline.reports.split_evaluation import RowsFormat
from sightline.runtime.choosing import Choice, chosen_mask
from sightline.sampling.plan import Sampling
from sightline.structures.batch import Batch
from sightline.structures.predictions import Prediction
from sightline.structures.targets import Boxes, Target
from sightline.tasks.task import Task

Networks = Mapping[str, nn.Module]
Picture = UInt8[np.ndarray, "h w c"]
Shape = tuple[int, ...]
Facts = Mapping[str, Any]  # what a task knows beside its weights, ready for JSON: task.json of the run
ClassWeight = Annotated[  # a key that several kinds share
    Literal["none", "balanced"], Field(description="balanced: n / (classes · n of the class), n images or pixels")
]
Keep = Callable[[int, np.ndarray], str | None]  # (id, class of each pixel (H, W)) → the file it was written to


@dataclass(frozen=True)
class Setting:
    """What a task is built from: the complete recipe, the preprocessing, `amounts` (k,), the number of training images,
    pixels or objects of each class, the `facts` that its kind learns of the data (`Kind.facts`, `Scoring.settle`), and how many
    `steps` it will be trained for; 0 where it will not."""

    recipe: Recipe
    preprocessing: Preprocessing
    amounts: np.ndarray
    facts: Facts = field(default_factory=dict)
    steps: int = 0

    def normalised(self, network: nn.Module) -> Normalised:
        """The network with normalisation in front: it takes images in 0-255 units."""
        return Normalised(self.preprocessing.normaliser(), network)


@dataclass(frozen=True)
class Scoring:
    """How predictions are measured.

    rows             reading and writing them as Parquet, and judging them
    monitors         metrics that `fit.monitor` may name beside "loss"; the first is not special, `headline` is the default
    headline         the metric that decides which weights are kept
    validation_loss  whether `Task.metrics` has a "loss"
    batch            images of one forward pass while measuring
    train_images     training images on which the train metrics are measured, or as many as val has if that is more
    views            whether the answers to several views of an image have a mean, for `evaluate --tta`
    worst            judgement → ids of the worst images, worst first
    threshold        judgement → the score from which predictions are drawn
    settle           rows of val with the kept weights → facts that are chosen on them, such as a threshold
    under            rows, facts → the same rows by these facts
    hardest          rows, classes → ids with words about each, the largest loss or the most mistakes first
    per_image        rows, judgement → how well each image was answered, by which slices are searched; None: no slices
    falling          those of the monitors of which less is better
    both_weights     where weights are averaged, the raw ones are measured too: the mean of few steps is worse than either
    timed            whether frames a second are measured beside the metrics: where a camera may be what it looks at
    probabilities    rows → class (n,) and probabilities (n, k), for temperature scaling; None where there are none
    """

    rows: RowsFormat
    monitors: tuple[str, ...]
    headline: str
    validation_loss: bool = True
    batch: int = 8
    train_images: int = 200
    falling: tuple[str, ...] = ()
    both_weights: bool = False
    timed: bool = False
    views: bool = False
    worst: Callable[[Any], list[int]] = lambda judgement: []
    threshold: Callable[[Any], float] = lambda judgement: 0.5
    settle: Callable[[Any], dict[str, Any]] | None = None
    under: Callable[[Any, Facts], Any] = lambda rows, facts: rows
    hardest: Callable[[Any, Sequence[str]], list[tuple[int, str]]] | None = None
    per_image: Callable[[Any, Any], ImageScores] | None = None
    probabilities: Callable[[Any], tuple[np.ndarray, np.ndarray]] | None = None


@dataclass(frozen=True)
class LabelCheck:
    """How wrong labels are found.

    judge      evidence of all images, class names → the findings
    evidence   task, batches of images outside of its training, device → the evidence; None: the rows that the run has stored
    """

    judge: Callable[[Any, Sequence[str]], LabelFindings]
    evidence: Callable[[Task, Iterable[Batch], str], Any] | None = None


@dataclass(frozen=True)
class Answers:
    """How `predict` presents predictions.

    of         (task, batch, prediction, classes, keep) → one mapping per image, ready for JSON
    columns    of a CSV, between path and error; `lines` makes the lines of one image
    heads      of the table on the terminal; `cells` are those of an image
    unknown    (height, width) → the target of an image without annotation; None: an unknown class
    folder     whether predictions include a picture, which is written if --out is a folder
    batch      images of one forward pass
    draw       image, row, mask, classes → the image with its prediction on it, as `--draw` writes it
    choose     row, choice → what `--conf` and `--classes` leave of it, None where they mean nothing; `select`: of its picture
    confident  whether `--conf` applies
    averaged   whether the predictions of several networks have a mean, as probabilities and numbers do and boxes do not
    artificial whether the pictures that `--out` writes are made by a network, which their files then say
    zero_shot  these answers, the task, the text of `--labels` → answers among those labels; None where they mean nothing
    texts      the name of the input where texts are asked about instead of images
    scored     whether predictions below the score of best F1 are left out by default
    """

    of: Callable[[Task, Batch, Prediction, Sequence[str], Keep], list[dict[str, Any]]]
    columns: tuple[str, ...]
    heads: tuple[str, str]
    cells: Callable[[Mapping[str, Any]], tuple[str, str]]
    lines: Callable[[dict[str, Any]], list[dict[str, Any]]] = lambda row: [row]
    unknown: Callable[[int, int], Target | None] = lambda height, width: None
    folder: bool = False
    artificial: bool = False
    batch: int = 4
    draw: Painter | None = None
    choose: Callable[[Mapping[str, Any], Choice], dict[str, Any]] | None = None
    select: Callable[[np.ndarray, Choice, Sequence[str]], np.ndarray] = chosen_mask
    confident: bool = True
    scored: bool = False
    averaged: bool = False
    texts: str | None = None
    zero_shot: Callable[[Answers, Task, str], Answers] | None = None


def plain(batch: Batch, row: int) -> Picture:
    """An image as the network gets it, without the padding of the batch."""
    height, width = batch.size[row].tolist()
    return batch.image[row, :, :height, :width].permute(1, 2, 0).cpu().numpy()  # (c, h, w) → (h, w, c)


def _undecorated(batch: Batch, row: int, classes: Sequence[str]) -> Picture:
    return plain(batch, row)


class Learned(NamedTuple):
    """One picture an image, and what its marks mean."""

    pictures: list[Picture]
    meaning: str


@dataclass(frozen=True)
class Drawings:
    """truth       batch, row, class names → the image with its target on it, enlarged if there are names to write
    answer      batch, row, class names, prediction, score threshold → the same with the prediction, without boxes below
                the threshold
    label       the target of an image in words; None if unknown
    learned     task, batch → each image with what of the network learns which object, and what the marks mean; None where
                nothing is assigned
    columns     of the picture of the first batch
    """

    truth: Callable[[Batch, int, Sequence[str]], Picture] = _undecorated
    answer: Callable[[Batch, int, Sequence[str], Prediction, float], Picture] | None = None
    label: Callable[[Target, int, Sequence[str]], str | None] = lambda target, row, classes: None
    learned: Callable[[Task, Batch], Learned | None] | None = None
    columns: int = 4


@dataclass(frozen=True)
class Exposure:
    """How an answer that has places is attacked, and what the attack is judged by.

    focus   task, batch, aim → the batch whose target holds only what is attacked and counted
    harm    task, that batch, aim → a function from pixels (b, c, h, w), levels of 0-255, to what an attack increases (b,)
    count   rows, aim, score threshold → for each image how many pixels or objects are right (with a target: have become it),
            and how many there are
    unit    "pixels" or "objects"
    hides   batch → the objects that a patch can lie on; None where there are none
    """

    focus: Callable[[Task, Batch, Aim], Batch]
    harm: Callable[[Task, Batch, Aim], Callable[[Tensor], Tensor]]
    count: Callable[[Any, Aim, float], tuple[np.ndarray, np.ndarray]]
    unit: str
    hides: Callable[[Batch], Boxes] | None = None


@dataclass(frozen=True)
class Sensitivity:
    """How the answer depends on the pixels: what `explain` explains, and what `attack` changes.

    ask       task, batch of one image, choice, class names → the score of that image as a function of pixels. Where it is
              the score of a class (`Subject.classes`), the same function holds for every image
    exposure  how an answer with places is attacked; None for other answers
    """

    ask: Ask
    exposure: Exposure | None = None


def _no_check(recipe: Recipe) -> None:
    pass


def _image_shape(recipe: Recipe) -> dict[str, Shape]:
    return {"model": recipe.input.shape}


def _no_order(recipe: Recipe, data: Dataset, images: Images) -> Order | None:
    return None


@dataclass(frozen=True)
class Kind:
    """name       as in `task.kind`
    section    its keys of the recipe, under `task.`
    accepts    which data can answer it; `automatic`: chosen where nobody names a kind (the first in the list that accepts)
    reads      the data as this kind reads them where the user names it, such as numbers as classes; None if it cannot
    needs      what the data must have: "classes", "identities" or "images" (see `build_dataset`)
    defaults   draft, traits of the data → what the draft left open
    check      UsageError for values that contradict each other
    facts      data set, training ids, recipe → what the task must know of them beside the weights, such as a scale
    networks   recipe, number of classes → the networks by name, weights drawn from the recipe's seed
    inputs     recipe → the shape of one input of each network, for its description
    task       networks and setting → the task over them
    solves     whether a pipeline of the room `classical` may be its network
    output     what `MODELS` files its networks under; None where the kind builds them itself
    trunk      the registered network inside the one that it builds, which starting weights are for
    load       data set, ids, preprocessing, recipe, truths=, judging= → images; `truths` what is known beyond a label
    statistics training images, channels → mean and deviation of each, by which images are normalised
    composites the operations of `augment.` that make one sample of several images, by key, which its targets follow
    order      recipe, data, training images → the order of samples; None: shuffled, or balanced as the recipe says
    scoring    how answers are measured; None where nothing can be
    answers, drawings, chapter   what `predict` says, what is drawn, what the report says
    export     its graphs and their decoding, for all tasks or as a function of the task; None where it cannot be exported
    sensitivity  its answer as a function of the pixels, for `explain` and `attack`; None where there is none
    labels     how wrong labels are found; None where they cannot be
    sampling   how its networks make images, for `sample`; None where they make none
    """

    name: str
    section: type[TaskSection]
    accepts: Callable[[Source], bool]
    defaults: Callable[[Draft, Traits], Filled]
    networks: Callable[[Recipe, int], dict[str, nn.Module]]
    task: Callable[[Networks, Setting], Task]
    answers: Answers
    automatic: bool = True
    reads: Callable[[Source], Source | None] = lambda source: None
    facts: Callable[[Dataset, np.ndarray, Recipe], dict[str, Any]] = lambda data, ids, recipe: {}
    needs: Needs = "classes"
    check: Callable[[Recipe], None] = _no_check
    inputs: Callable[[Recipe], dict[str, Shape]] = _image_shape
    output: str | None = None
    trunk: Trunk | None = None
    solves: bool = False
    load: Callable[..., Images] = load
    truths: Truths | None = None
    composites: tuple[str, ...] = ()
    statistics: Callable[[Images, int], tuple[tuple[float, ...], tuple[float, ...]]] = statistics
    order: Callable[[Recipe, Dataset, Images], Order | None] = _no_order
    scoring: Scoring | None = None
    drawings: Drawings = field(default_factory=Drawings)
    chapter: Chapter = field(default_factory=Chapter)
    export: Export | Callable[[Task], Export | None] | None = None
    sensitivity: Sensitivity | None = None
    labels: LabelCheck | None = None
    sampling: Sampling | None = None

    def export_of(self, task: Task) -> Export | None:
        """The graphs of this task and their decoding."""
        return self.export(task) if callable(self.export) else self.export
