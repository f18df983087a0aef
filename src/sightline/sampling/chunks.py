"""Images in chunks of a fixed size at fixed places.

Chunk c always holds the images 16 c to 16 c + 15, also where only one of them is wanted: kernels may sum in another order for
another batch size, and an image would then depend on how many others were made with it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from sightline.engine.devices import unwrapped
from sightline.preprocessing.signed import to_levels
from sightline.tasks.task import Task

from .plan import Chunk, Request, Sampling

CHUNK = 16

Pictures = UInt8[np.ndarray, "n h w c"]


def sample_images(sampling: Sampling, task: Task, request: Request) -> Pictures:
    """The images of the request in its order, (n, h, w, c) uint8. The task keeps its device and its mode."""
    return np.concatenate(list(each_chunk(sampling, task, request)))


def each_chunk(sampling: Sampling, task: Task, request: Request) -> Iterator[Pictures]:
    """The same in parts, each of neighbouring images of one chunk, so that any number of images fits into memory."""
    numbers = request.index.tolist()
    at = 0
    while at < len(numbers):
        chunk = numbers[at] // CHUNK
        end = at + 1
        while end < len(numbers) and numbers[end] // CHUNK == chunk:
            end += 1
        index = torch.arange(chunk * CHUNK, (chunk + 1) * CHUNK)
        pictures = _made(sampling, task, Chunk(request, index, _device(task)))
        yield pictures[[number % CHUNK for number in numbers[at:end]]]
        at = end


def walk_images(sampling: Sampling, task: Task, request: Request, *, frames: int = 12) -> Pictures:
    """A walk through the noise of the request's images, back to the first: `frames` steps between two of them,
    (n · frames, h, w, c) uint8."""
    stops, n = request.index, len(request.index)
    at = torch.arange(n * frames)
    first, second = stops[at // frames], stops[(at // frames + 1) % n]
    share = (at % frames).float() / frames
    parts = []
    for start in range(0, len(at), CHUNK):
        here = torch.arange(start, start + CHUNK).clamp(max=len(at) - 1)  # the last chunk is filled up
        chunk = Chunk(request, first[here], _device(task), second[here], share[here])
        parts.append(_made(sampling, task, chunk)[: len(at) - start])
    return np.concatenate(parts)


def _made(sampling: Sampling, task: Task, chunk: Chunk) -> Pictures:
    training = task.training
    task.eval()
    try:
        with torch.inference_mode(), unwrapped(task):
            images = to_levels(sampling.produce(task, chunk))
    finally:
        task.train(training)
    return images.permute(0, 2, 3, 1).cpu().numpy()  # (b, c, h, w) → (b, h, w, c)


def _device(task: Task) -> torch.device:
    tensor: Tensor | None = next(task.parameters(), None)
    return torch.device("cpu") if tensor is None else tensor.device
