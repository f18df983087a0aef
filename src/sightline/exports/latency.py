"""How long a graph takes on this machine: the median of a few calls, with a batch of one fixed and free, and of eight."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

SECONDS, CALLS = 1.0, (3, 30)  # budget of a measurement; least and most calls
GAIN = 0.97  # a batch fixed at 1 must be this much faster to be worth a session of its own


def median_ms(call: Callable[[], Any]) -> float:
    """Milliseconds of one call, after one to warm up."""
    call()
    took: list[float] = []
    start = time.perf_counter()
    while len(took) < CALLS[0] or (len(took) < CALLS[1] and time.perf_counter() - start < SECONDS):
        before = time.perf_counter()
        call()
        took.append(1000 * (time.perf_counter() - before))
    return statistics.median(took)


def measure(graph: Any, runner: Callable[..., Any], inputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Latency of a graph of `runtime`; `runner` is the adapter's `run`. A graph that does not take images is measured with the
    inputs of the example only."""
    if "image" not in inputs:
        return {"example_ms": median_ms(lambda: runner(graph.session(fixed=False), inputs))}
    one, eight = inputs["image"][:1], np.resize(inputs["image"], (8, *inputs["image"].shape[1:]))
    figures = {
        "static_ms": median_ms(lambda: runner(graph.session(fixed=True), {"image": one})),
        "dynamic_ms": median_ms(lambda: runner(graph.session(fixed=False), {"image": one})),
        "batch_8_ms": median_ms(lambda: runner(graph.session(fixed=False), {"image": eight})),
    }
    return {**figures, "static_faster": figures["static_ms"] < GAIN * figures["dynamic_ms"]}
