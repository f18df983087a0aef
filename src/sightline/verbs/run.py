"""A run in Python: what `open_run` and `train` return. Its folder is `runs.run.Run`; here it also predicts and shows.

    run = sightline.open_run("runs/photos")
    run.predict("cat.jpg").label

Each method loads what it needs at its first use; the weights are then kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.runs.run import Run as RunFolder

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from sightline.drawing.picture import Picture
    from sightline.inference.prediction import Prediction
    from sightline.models.own import Builder
    from sightline.recipes.recipe import Recipe
    from sightline.tasks.task import Task


class Run(RunFolder):
    """A run, opened with `sightline.open_run`.

    Images are paths, folders, patterns, pictures of Pillow, or uint8 arrays (h, w), (h, w, 3) or (h, w, 4), alone or in a list.
    """

    @property
    def recipe(self) -> Recipe:
        """The complete recipe of the training."""
        import sightline.kinds.catalogue  # noqa: F401  # a recipe's section is read by its kind of task

        return super().recipe

    @cached_property
    def _task(self) -> Task:
        from sightline.kinds.networks import load_task

        return load_task(self)

    def model(self, name: str = "model") -> nn.Module:
        """The network in evaluation mode, with its normalisation inside: it takes (b, c, h, w), uint8 or float in 0-255 units,
        as `prepare` gives it, and returns what the network returns. `name` of the network where a run has several."""
        from sightline.errors import UsageError, nearest

        networks = dict(self._task.named_children())
        if name not in networks:
            raise UsageError(f"{self.folder} has no network {name!r}", nearest(name, networks))
        return networks[name].eval()

    def prepare(self, images: Any) -> Tensor:
        """Images (b, c, h, w) uint8 in the network's frame: decoded, turned upright, resized as in training. DataError for one
        that cannot be read."""
        import numpy as np
        import torch

        from sightline.errors import DataError
        from sightline.inference.objects import items_of
        from sightline.preprocessing.rejection import Rejected

        try:
            frames = [self.preprocessing.prepare(item.source)[0] for item in items_of(images)[0]]
        except Rejected as error:
            raise DataError(f"an image cannot be read: {error}", "leave it out") from error
        return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)  # (b, h, w, c) → (b, c, h, w)

    def predict(
        self,
        images: Any,
        *,
        conf: float | None = None,
        classes: str | Sequence[str] | None = None,
        device: str = "auto",
    ) -> Any:
        """A `Prediction` for one image, a list of them for a list or a folder; see `sightline.predict` for `conf` and
        `classes`. One that cannot be read has an `error`. The list is held; `predict_each` holds nothing."""
        from sightline.inference.objects import items_of, predicted

        items, single = items_of(images)
        found = list(predicted(self, self._task, items, conf, classes, device))
        return found[0] if single else found

    def predict_each(
        self,
        images: Any,
        *,
        conf: float | None = None,
        classes: str | Sequence[str] | None = None,
        device: str = "auto",
    ) -> Iterator[Prediction]:
        """The predictions one by one, in memory that does not grow with their number."""
        from sightline.inference.objects import items_of, predicted

        return predicted(self, self._task, items_of(images)[0], conf, classes, device)

    def embed(self, images: Any, *, device: str = "auto") -> np.ndarray:
        """(n, d) float32: for each image what goes into the last layer of the network. UsageError where there is no such layer,
        DataError for an image that cannot be read."""
        from sightline.inference.objects import embedded, items_of

        return embedded(self, self._task, items_of(images)[0], device)

    def sample(
        self,
        n: int = 64,
        *,
        label: str | None = None,
        text: str | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        sampler: str | None = None,
        seed: int = 0,
        first: int = 0,
    ) -> np.ndarray:
        """(n, h, w, c) uint8: images that the run's networks make; nothing is written. See `sightline.sample`."""
        from sightline.verbs.generating.sample import request_of, sampled

        asked = request_of(
            self, n, label=label, text=text, steps=steps, guidance=guidance, sampler=sampler, seed=seed, first=first
        )
        return sampled(self, self._task, asked)

    def show_batch(self) -> Picture:
        """The first training batch as the network saw it, each image with its label."""
        from sightline.inference.galleries import batch_sheet

        return batch_sheet(self)

    def show_results(self, n: int = 6, *, split: str | None = None) -> Picture:
        """`n` images of a split (test, else val): ground truth on the left, prediction on the right."""
        from sightline.inference.galleries import results_sheet

        return results_sheet(self, self._task, n, split)

    def top_losses(self, n: int = 9, *, split: str | None = None) -> Picture:
        """The `n` images of a split (test, else val) with the largest loss, or the most mistakes, the worst first."""
        from sightline.inference.galleries import worst_sheet

        return worst_sheet(self, self._task, n, split)


def open_run(run: str | Path | RunFolder | Iterable[str], model: str | nn.Module | Builder | None = None) -> Run:
    """The run in a folder, or a network with published weights by its name, such as "efficientnet_lite0". `model` is the
    network where it is code of your own, as it was given to `train`.

    UsageError if there is neither, DamagedError if the run is newer or broken.
    """
    from sightline.runs.run import open_run as open_folder

    if isinstance(run, RunFolder):
        return as_run(run)
    if model is None and Path(str(run)).exists():
        return as_run(open_folder(str(run)))
    from sightline.kinds.pretrained import open_run_or_model

    return as_run(open_run_or_model(str(run), model))


def as_run(folder: RunFolder) -> Run:
    """The same run with all of its methods."""
    return folder if isinstance(folder, Run) else Run(folder.folder, folder.written)
