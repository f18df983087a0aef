"""A picture of how images are made step by step: real ones that become noise, and noise that becomes images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from sightline.data.loaders import Images
from sightline.drawing.png import grid, png_bytes
from sightline.engine.devices import unwrapped
from sightline.preprocessing.signed import to_levels
from sightline.runs.run import Run
from sightline.sampling.chunks import CHUNK
from sightline.sampling.marks import artificial
from sightline.sampling.plan import Chunk, Request
from sightline.storage.files import make_folder, replace_file
from sightline.structures.batch import Batch

from .progress import Training

FILE = "samples/denoising.png"
ROWS = 4  # images of each strip
SEED = 0


def write_strip(training: Training) -> None:
    """samples/denoising.png; nothing for a kind that makes no images, or makes them at once."""
    sampling, run, task = training.kind.sampling, training.run, training.task
    if sampling is None or sampling.strip is None:
        return
    request = Request(torch.arange(CHUNK), SEED, len(training.data.classes))
    chunk = Chunk(request, request.index, training.device)
    task.eval()
    with training.console.working("drawing how noise becomes images"), torch.inference_mode(), unwrapped(task):
        real = _some(training.images).to(training.device)
        strips = sampling.strip(task, real, chunk)
    forward, back = (_columns(columns) for columns in strips)
    blank = np.full_like(forward[0][0], 255)
    longest = max(len(forward), len(back))
    cells = [
        column[row] if column is not None else blank
        for columns in (forward, back)
        for row in range(ROWS)
        for column in [*columns, *[None] * (longest - len(columns))]
    ]
    make_folder(run.folder / "samples")
    sheet = grid(cells, columns=longest, gap=2, least=56, most=128)
    replace_file(run.folder / FILE, png_bytes(sheet, _mark(run)))


def _some(images: Mapping[str, Images]) -> Batch:
    some = images.get("val") or images["train"]
    at = torch.linspace(0, len(some) - 1, min(ROWS, len(some))).long()  # classes lie one after the other
    return some(at, at)


def _columns(columns: list[Tensor]) -> list[UInt8[np.ndarray, "b h w c"]]:
    """Every column with ROWS images, the last repeated where there are fewer."""
    at = torch.arange(ROWS).clamp(max=len(columns[0]) - 1)
    return [to_levels(column[at.to(column.device)]).permute(0, 2, 3, 1).cpu().numpy() for column in columns]


def _mark(run: Run) -> dict[str, str]:
    return artificial(f"{run.folder.name} {run.identity()['recipe'][:12]}", seed=SEED)
