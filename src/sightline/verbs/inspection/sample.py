"""What the methods look at: the run's network, a bounded sample of its images, and the layers that are shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sightline.data.dataset import Dataset
from sightline.data.loaders import in_order
from sightline.errors import DataError, UsageError
from sightline.explanation.features.layers import Layer, layer_named, layers_of
from sightline.explanation.features.layers import Run as Through
from sightline.explanation.features.layers import chosen as chosen_layers
from sightline.explanation.features.patches import Viewing
from sightline.explanation.question import Choice
from sightline.explanation.subject import Refused, Subject, undisturbed
from sightline.inference.embedding import head_of, inputs_of
from sightline.kinds.catalogue import kind_of
from sightline.kinds.networks import MAIN
from sightline.recipes.loading import choose
from sightline.runs.run import Run
from sightline.structures.batch import Batch
from sightline.structures.targets import Labels, Target
from sightline.tasks.task import Task

BATCH = 32
LEAST = 48  # images, however large the network
LOOK = 150e9  # multiply-adds that a pass over the sample may take


@dataclass(frozen=True)
class ImageSample:
    """A sample of a split: pixels (n, c, h, w) in the network's frame, the class (n,) of each (-1 unknown), and its name;
    `of` so many images in the whole split."""

    split: str
    pixels: UInt8[Tensor, "n c h w"]
    label: np.ndarray
    names: tuple[str, ...]
    of: int

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def words(self) -> str:
        """Such as "200 of the 1,000 images of test"."""
        where = "" if self.split == "all" else f" of {self.split}"
        if len(self) == self.of:
            return f"all {self.of:,} images{where}"
        return f"{len(self):,} of the {self.of:,} images{where}, chosen by hash"


@dataclass
class Sample:
    """`data` and `ids` of the split are None where the run has no images of its own and none were named."""

    run: Run
    task: Task
    device: torch.device | str
    data: Dataset | None = None
    split: str = ""
    ids: np.ndarray | None = None
    most: int = 500
    layer: str | None = None
    target: int | None = None
    seed: int = 0
    no_images: str = ""
    _images: dict[str, ImageSample] = field(default_factory=dict)
    _seen: dict[str, tuple[np.ndarray, Tensor]] = field(default_factory=dict)

    @property
    def network(self) -> nn.Module:
        return dict(self.task.named_children()).get(MAIN, self.task)

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        geometry = self.run.preprocessing.geometry
        return self.run.preprocessing.channels, geometry.height, geometry.width

    def grey(self) -> Float[Tensor, "1 c h w"]:
        return torch.full((1, *self.shape), 128.0, device=self.device)

    @cached_property
    def example(self) -> Float[Tensor, "1 c h w"]:
        """An image to send through the network: the first of the sample, or a medium grey."""
        return self.grey() if self.ids is None else self.images.pixels[:1].to(self.device).float()

    @cached_property
    def through(self) -> Through:
        """Pixels through the network: alone, which keeps gradients, or as the task sends them where it takes more "
        "than pixels."""
        try:
            with undisturbed(self.network), torch.no_grad():
                self.network(self.grey())
        except TypeError:
            return lambda pixels: self.task.predict(self._batch(pixels))
        return self.network

    def _batch(self, pixels: Float[Tensor, "b c h w"]) -> Batch:
        count, height, width = len(pixels), int(pixels.shape[2]), int(pixels.shape[3])
        target: Target | None = kind_of(self.run).answers.unknown(height, width)
        size, numbers = torch.tensor([[height, width]]).repeat(count, 1), torch.arange(count)
        target = Labels.of(torch.full((count,), -1)) if target is None else type(target).join([target] * count)
        frame = torch.eye(3, dtype=torch.float64).repeat(count, 1, 1)
        image = pixels.detach().round().clamp(0, 255).to(torch.uint8)
        return Batch.of_images(image, size, frame, size, numbers, numbers, target).to(self.device)

    @cached_property
    def subject(self) -> Subject:
        """The scores of the whole image. Refused where the network answers for places or gives no scores."""
        kind = kind_of(self.run)
        refused = Refused(f"a {kind.name} run has no score for the whole image", "see filters, activations or patches")
        if kind.sensitivity is None:
            raise refused
        try:
            subject = kind.sensitivity.ask(
                self.task, self._batch(self.example), Choice(self.target), self.run.classes
            ).subject
        except DataError as error:
            raise refused from error
        if subject.dense:
            raise refused
        return subject

    @cached_property
    def work(self) -> int:
        """Multiply-adds of one image."""
        with FlopCounterMode(display=False) as counter, undisturbed(self.network), torch.no_grad():
            self.through(self.grey())
        return max(1, counter.get_total_flops() // 2)

    def steps(self, budget: float, least: int, most: int, each: float = 1.0) -> int:
        """As many steps as `budget` multiply-adds pay for, each of `each` images forwards and backwards."""
        return int(min(most, max(least, budget / (3 * each * self.work))))

    @cached_property
    def images(self) -> ImageSample:
        """The sample of the split."""
        if self.ids is None:
            raise Refused(self.no_images or "the run has no images", "name some with --data")
        return self.of_split(self.split, self.ids)

    def of_split(self, split: str, ids: np.ndarray | None = None) -> ImageSample:
        """A sample of a split. Refused where there is none."""
        if split not in self._images:
            assert self.data is not None
            ids = self.data.ids(split) if ids is None else ids
            if not len(ids):
                raise Refused(f"the data have no {split} split", "choose another --split")
            some = choose(ids, int(min(self.most, max(LEAST, LOOK / self.work))))
            run, kind = self.run, kind_of(self.run)
            loaded = kind.load(self.data, some, run.preprocessing, run.recipe, truths=None, judging=False)
            pixels = torch.cat([batch.image for batch in in_order(loaded, BATCH)]).contiguous()
            names = tuple(self.data.records[int(i)].name for i in some)
            self._images[split] = ImageSample(split, pixels, self.data.index[some].astype(np.int64), names, len(ids))
        return self._images[split]

    def viewing(self, images: ImageSample | None = None) -> Viewing:
        return Viewing(self.network, self.through, (images or self.images).pixels, self.device, BATCH)

    @cached_property
    def layers(self) -> list[Layer]:
        """Every layer."""
        return layers_of(self.network, self.through, self.example)

    @cached_property
    def shown(self) -> list[Layer]:
        """Those that are shown: the one that the user named, or a handful."""
        if self.layer is not None:
            return [layer_named(self.layers, self.layer)]
        return chosen_layers(self.layers)

    def label(self, images: ImageSample, number: int) -> str:
        index = int(images.label[number])
        return self.run.classes[index] if 0 <= index < len(self.run.classes) else ""

    def seen(self, images: ImageSample) -> tuple[Float[np.ndarray, "n d"], Float[Tensor, "n k"]]:
        """What goes into the last layer for each image, and its scores. Refused where there is no such layer."""
        if images.split not in self._seen:
            first = images.pixels[:1].to(self.device).float()
            with undisturbed(self.network):
                with torch.no_grad():
                    width = int(self.subject.scores(first).shape[1])
                try:
                    head = head_of(self.network, first, width)
                except UsageError as error:
                    raise Refused(error.message, "see filters, activations or patches") from error
                vectors, scores = [], []
                with torch.no_grad(), inputs_of(head) as taken:
                    for part in images.pixels.split(BATCH):
                        scores.append(self.subject.scores(part.to(self.device).float()).float().cpu())
                        vectors.append(taken().float().cpu().numpy())
            self._seen[images.split] = np.concatenate(vectors), torch.cat(scores)
        return self._seen[images.split]
