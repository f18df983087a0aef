"""How long predictions take on this machine: on noise of the network's frame, from pixels in memory to the answer."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from sightline.structures.batch import Batch
from sightline.structures.targets import Labels
from sightline.tasks.task import Task

from .devices import compute_threads

BATCHES = (1, 16)
SECONDS, LEAST, MOST = 0.7, 3, 50  # of one measurement, its calls
Shape = tuple[int, int, int]  # channels, height, width


def speed_of_task(task: Task, shape: Shape, *, threads: int, device: str) -> dict[str, Any]:
    """Milliseconds an image with batches of 1 and 16, images a second with 16, and the memory in MB that the network takes with
    its weights while it predicts 16 images (null where the system does not tell). `task` is on `device`, in evaluation mode."""
    found: dict[str, Any] = {"device": device, "threads": threads}
    weights = sum(t.numel() * t.element_size() for t in (*task.parameters(), *task.buffers()))
    with compute_threads(threads), torch.inference_mode(), task.uncached():
        for size in BATCHES:
            call = _call(task, size, shape, device)
            if size == BATCHES[-1]:
                peak = _peak(call, device)
                found["memory_mb"] = None if peak is None else round((weights + peak) / 1e6, 1)
            found[f"ms_batch_{size}"] = _median(call) / size
    found["images_per_second"] = 1000 / found[f"ms_batch_{BATCHES[-1]}"]
    return found


def frame_rate(task: Task, shape: Shape, *, threads: int, device: str) -> dict[str, Any]:
    """Frames a second of single images, with the conditions: `ms`, `fps`, `device`, `threads`, `height`, `width`."""
    was = task.training
    task.eval()
    with compute_threads(threads), torch.inference_mode(), task.uncached():
        ms = _median(_call(task, 1, shape, device))
    task.train(was)
    _, height, width = shape
    return {"fps": 1000 / ms, "ms": ms, "device": device, "threads": threads, "height": height, "width": width}


def _call(task: Task, size: int, shape: Shape, device: str) -> Callable[[], None]:
    """The prediction of a batch of noise, which was made once."""
    image = torch.randint(
        0, 256, (size, *shape), dtype=torch.uint8, device=device, generator=torch.Generator(device).manual_seed(0)
    )
    batch = _batch(image.contiguous(memory_format=torch.channels_last))

    def call() -> None:
        task.predict(batch)
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    call()
    return call


def _batch(image: torch.Tensor) -> Batch:
    b, _, height, width = image.shape
    size = torch.tensor([[height, width]]).expand(b, 2)
    frame = torch.eye(3).expand(b, 3, 3)
    places = torch.arange(b)
    return Batch.of_images(image, size, frame, size, places, places, Labels.of(torch.full((b,), -1)))


def _median(call: Callable[[], None]) -> float:
    """Milliseconds of a call: the median of some."""
    took: list[float] = []
    start = time.perf_counter()
    while len(took) < LEAST or (len(took) < MOST and time.perf_counter() - start < SECONDS):
        before = time.perf_counter()
        call()
        took.append(1000 * (time.perf_counter() - before))
    return statistics.median(took)


def _peak(call: Callable[[], None], device: str) -> int | None:
    """Bytes that a call takes at most beyond what is held before; on the CPU what the system counts as resident."""
    if device.startswith("cuda"):
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        call()
        return int(torch.cuda.max_memory_allocated() - before)
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the peak starts again from what is held now
    except OSError:
        return None
    held = _status("VmRSS")
    call()
    return None if held is None else max(0, (_status("VmHWM") or held) - held)


def _status(name: str) -> int | None:
    """Bytes of an entry such as VmRSS; None where the system does not tell."""
    path = Path("/proc/self/status")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), None)
