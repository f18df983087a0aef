"""What a run costs: parameters, multiply-adds, and on this machine the time and the memory of its predictions."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from sightline.engine.devices import choose_device, compute_threads
from sightline.kinds.kind import Kind
from sightline.kinds.networks import config_file, load_task
from sightline.runs.run import Run
from sightline.structures.batch import Batch
from sightline.structures.targets import Labels

BATCHES = (1, 16)
SECONDS, LEAST, MOST = 0.7, 3, 50  # of one measurement, its calls


def size_of(run: Run, kind: Kind) -> dict[str, Any]:
    """Parameters and multiply-adds of an image, over all networks of the run."""
    names = kind.networks(run.recipe, len(run.classes))
    stored = [run.read_json(config_file(name)) for name in names]
    return {key: sum(int(one[key]) for one in stored) for key in ("parameters", "multiply_adds")}


def speed_of(run: Run, device: str = "auto") -> dict[str, Any]:
    """Milliseconds an image with batches of 1 and 16, images a second with 16, and the memory in MB that the network takes with
    its weights while it predicts 16 images (null where the system does not tell). On noise in the run's frame, with the run's
    threads; decoding of files is not part of it."""
    chosen, recipe = choose_device(device), run.recipe
    task = load_task(run).to(chosen).eval()
    channels, height, width = (
        run.preprocessing.channels,
        run.preprocessing.geometry.height,
        run.preprocessing.geometry.width,
    )
    found: dict[str, Any] = {"device": chosen, "threads": recipe.fit.threads}
    weights = sum(t.numel() * t.element_size() for t in (*task.parameters(), *task.buffers()))
    with compute_threads(recipe.fit.threads), torch.inference_mode():
        for size in BATCHES:
            image = torch.randint(0, 256, (size, channels, height, width), dtype=torch.uint8, device=chosen)
            batch = _batch(image.contiguous(memory_format=torch.channels_last))

            def call(batch: Batch = batch) -> None:
                task.predict(batch)
                if chosen.startswith("cuda"):
                    torch.cuda.synchronize()

            call()
            if size == BATCHES[-1]:
                peak = _peak(call, chosen)
                found["memory_mb"] = None if peak is None else round((weights + peak) / 1e6, 1)
            found[f"ms_batch_{size}"] = _median(call) / size
    found["images_per_second"] = 1000 / found[f"ms_batch_{BATCHES[-1]}"]
    return found


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
