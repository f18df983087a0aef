"""How a network of diffusion or flow matching makes the images of a request."""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.errors import UsageError
from sightline.preprocessing.signed import to_signed
from sightline.sampling import diffusion, flow
from sightline.sampling.diffusion import Watch
from sightline.sampling.plan import Chunk, Request, Sampling
from sightline.structures.batch import Batch
from sightline.tasks.generative.diffusion import Diffusion
from sightline.tasks.task import Task

from .words import as_numbers, require_known

TRAINED = 1000  # times of the schedule
WATCHED, PREVIEW = 6, 8  # sheets of images while it trains, and steps of the sampler for them
COLUMNS = 6  # of the strip of what comes out of noise
SAMPLERS = {"ddpm": ("ddim", "ddpm"), "flow": ("heun", "euler")}  # of each process, the default first


def _produce(task: Task, chunk: Chunk, watch: Watch = diffusion.unseen) -> Float[Tensor, "b c h w"]:
    """Guided and unguided answers come from one pass of twice the images."""
    assert isinstance(task, Diffusion)
    asked, usual = chunk.request, task.usual
    weight = usual.guidance if asked.guidance is None else asked.guidance
    steps = asked.steps or usual.steps
    told, x = _told(task, chunk), chunk.noise("start", task.shape)
    empty = task.empty(len(x))

    def network(x: Tensor, time: Tensor) -> Tensor:
        if not task.conditional or weight == 1.0:
            return task.answer(x, time, *told)
        pairs = [None if a is None or b is None else torch.cat([a, b]) for a, b in zip(told, empty, strict=True)]
        conditional, free = task.answer(torch.cat([x, x]), torch.cat([time, time]), *pairs).chunk(2)
        return diffusion.guided(conditional, free, weight)

    sampler = asked.sampler or usual.sampler
    if task.schedule is None:
        x = {"euler": flow.euler, "heun": flow.heun}[sampler](network, x, flow.even(steps), watch)
    elif sampler == "ddim":
        x = diffusion.ddim(
            network, x, task.schedule, diffusion.descent(TRAINED, steps), clip=task.on_pixels, watch=watch
        )
    else:
        draw = partial(_fresh, chunk, task.shape)
        x = diffusion.ddpm(
            network, x, task.schedule, diffusion.descent(TRAINED, steps), draw, clip=task.on_pixels, watch=watch
        )
    return task.decoded(x)


def strip(task: Task, batch: Batch, chunk: Chunk) -> tuple[list[Tensor], list[Tensor]]:
    """Images of the batch under more and more noise, and those of the chunk as they come out of it: each a list of images
    (b, c, h, w) in [-1, 1], one for each column of a strip."""
    assert isinstance(task, Diffusion)
    image = task.encoded(to_signed(batch.image))
    noise = chunk.noise("forward", task.shape)[: len(image)]
    shares = [torch.full((len(image),), share, device=image.device) for share in (0.25, 0.5, 0.75, 0.999)]
    forward = [image, *(task.noisy(image, noise, share)[0] for share in shares)]
    passed = [chunk.noise("start", task.shape)]
    made = _produce(task, chunk, passed.append)
    chosen = [passed[round(i * (len(passed) - 1) / (COLUMNS - 1))] for i in range(COLUMNS - 1)]
    return [task.decoded(x) for x in forward], [*(task.decoded(x) for x in chosen), made]


def _fresh(chunk: Chunk, shape: tuple[int, ...], step: int) -> Tensor:
    return chunk.noise("step", shape, step)


def _told(task: Diffusion, chunk: Chunk) -> tuple[Tensor | None, Tensor | None]:
    """The condition of each image of a chunk."""
    label, words = chunk.label, None
    if task.texts is not None and chunk.request.text is not None:
        numbers = _numbers(task, chunk.request.text).to(task.texts.device)
        words = numbers.expand(len(chunk.index), -1)
    elif task.texts is not None and label is not None:
        words = task.texts[label]
    return label if task.classes else None, words


def _numbers(task: Diffusion, text: str) -> Tensor:
    assert task.texts is not None
    known, rows, length = task.usual.words, task.usual.rows, task.texts.shape[1]
    require_known(text, known, rows=rows, length=length)
    return as_numbers([text], known, rows=rows, length=length)


def _asked(task: Task) -> frozenset[str]:
    assert isinstance(task, Diffusion)
    options = {"steps", "sampler"}
    if task.conditional:
        options |= {"guidance", "class"}
    return frozenset(options | ({"text"} if task.texts is not None else set()))


def _check_request(task: Task, request: Request) -> None:
    """UsageError for a sampler of the other process, or more steps than there are times."""
    assert isinstance(task, Diffusion)
    process = "flow" if task.schedule is None else "ddpm"
    if request.sampler not in (None, *SAMPLERS[process]):
        fitting = " or ".join(SAMPLERS[process])
        raise UsageError(f"--sampler {request.sampler} does not fit task.process={process}", f"use {fitting}")
    if request.steps is not None and request.steps > TRAINED:
        raise UsageError(f"--steps is {request.steps}", f"use at most {TRAINED}")
    if request.text is not None:
        _numbers(task, request.text)


DIFFUSION_SAMPLING = Sampling(_produce, _asked, _check_request, strip=strip, watched=WATCHED, preview=PREVIEW)
