"""Images from Python in, prediction objects and vectors out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from sightline.engine.devices import choose_device, compute_threads, repeatable
from sightline.errors import DataError, UsageError
from sightline.kinds.catalogue import kind_of
from sightline.kinds.networks import MAIN
from sightline.preprocessing.rejection import Rejected
from sightline.runs.run import Run
from sightline.tasks.task import Task

from .answering import answering_run
from .embedding import head_of, inputs_of
from .inputs import Inputs, Item
from .prediction import Prediction
from .stream import Stream, choice_of

_BATCH = 32  # images of a forward pass for their vectors


def items_of(images: Any) -> tuple[Iterable[Item], bool]:
    """The images, and whether they are a single one. UsageError for what is no image."""
    if isinstance(images, str | Path):
        found = Inputs([images])
        return found.first(), len(found.roots) == 1 and found.is_file(found.roots[0])
    if _is_picture(images):
        return [_item(0, images)], True
    if not isinstance(images, Sequence | np.ndarray) and not hasattr(images, "__iter__"):
        raise UsageError(f"{type(images).__name__} is no image", "give a path, a picture of Pillow, or a uint8 array")
    return _each(images), False


def _each(images: Iterable[Any]) -> Iterator[Item]:
    for number, image in enumerate(images):
        if isinstance(image, str | Path):
            yield from Inputs([image]).first()
        else:
            yield _item(number, image)


def _is_picture(image: Any) -> bool:
    return hasattr(image, "convert") or (isinstance(image, np.ndarray) and image.ndim in (2, 3))


def _item(number: int, image: Any) -> Item:
    name = getattr(image, "filename", "") or f"image {number}"
    if not _is_picture(image):
        raise UsageError(f"{type(image).__name__} is no image", "give a path, a picture of Pillow, or a uint8 array")
    pixels = _pixels(image) if hasattr(image, "convert") else np.asarray(image)
    shape = "x".join(map(str, pixels.shape))
    if pixels.dtype != np.uint8 or (pixels.ndim == 3 and pixels.shape[2] not in (1, 3, 4)):
        raise UsageError(
            f"{name} is an array of {pixels.dtype} and shape {shape}", "give uint8 (h, w), (h, w, 3) or (h, w, 4)"
        )
    return Item(str(name), pixels, f"{Path(str(name)).stem}.png")


def _pixels(image: Any) -> np.ndarray:
    """A picture of Pillow, turned upright as a file of it would be."""
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(image)
    if upright.mode not in ("L", "RGB", "RGBA"):
        upright = upright.convert("RGBA" if "transparency" in upright.info or upright.mode in ("LA", "PA") else "RGB")
    return np.asarray(upright)


def predicted(
    run: Run,
    task: Task,
    items: Iterable[Item],
    conf: float | None = None,
    classes: str | Sequence[str] | None = None,
    device: str = "auto",
) -> Iterator[Prediction]:
    """The prediction of each item."""
    answering = answering_run(run, device, task)
    choice = choice_of(answering, conf, classes)
    for item, row, mask in Stream(answering, items, choice, keep=True):
        yield Prediction(item.path, row, answering.classes, item.source, answering, mask)


def embedded(run: Run, task: Task, items: Iterable[Item], device: str) -> Float[np.ndarray, "n d"]:
    """What goes into the last layer of the run's network, for each item."""
    network = dict(task.named_children()).get(MAIN)
    if network is None or kind_of(run).answers.folder:
        raise UsageError("embed needs a network that outputs one vector an image", "use a run of classification")
    name, waiting = choose_device(device), iter(items)
    network.to(name).eval()
    vectors = []
    with compute_threads(run.recipe.fit.threads), repeatable(name):
        head = None
        while part := list(islice(waiting, _BATCH)):
            images = torch.from_numpy(np.stack([_frame(run, item) for item in part])).permute(0, 3, 1, 2).to(name)
            head = head or head_of(network, images[:1], len(run.classes))
            with inputs_of(head) as taken, torch.inference_mode():
                network(images)
                vectors.append(taken().float().cpu().numpy())
    if not vectors:
        raise UsageError("no images were given", "give at least one")
    return np.concatenate(vectors)


def _frame(run: Run, item: Item) -> np.ndarray:
    try:
        return run.preprocessing.prepare(item.source)[0]
    except Rejected as error:
        raise DataError(f"{item.path} cannot be read: {error.detail}", "leave it out") from error
