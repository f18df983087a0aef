"""What a run costs: parameters, multiply-adds, and on this machine the time and the memory of its predictions."""

from __future__ import annotations

from typing import Any

from sightline.engine.devices import choose_device
from sightline.engine.timing import speed_of_task
from sightline.kinds.kind import Kind
from sightline.kinds.networks import config_file, load_task
from sightline.runs.run import Run


def size_of(run: Run, kind: Kind) -> dict[str, Any]:
    """Parameters and multiply-adds of an image, over all networks of the run."""
    names = kind.networks(run.recipe, len(run.classes))
    stored = [run.read_json(config_file(name)) for name in names]
    return {key: sum(int(one[key]) for one in stored) for key in ("parameters", "multiply_adds")}


def speed_of(run: Run, device: str = "auto") -> dict[str, Any]:
    """`speed_of_task` in the run's frame, with the run's threads; decoding of files is not part of it."""
    chosen = choose_device(device)
    task = load_task(run).to(chosen).eval()
    return speed_of_task(task, run.preprocessing.shape, threads=run.recipe.fit.threads, device=chosen)
