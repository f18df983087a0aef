"""Networks through torch.compile and torch.export, in a process of their own: neither passes where shapes are checked.

    python -m tests.compiled BACKEND [--published] [NAME…]     → JSON lines: {"name", "error": null or words, "seconds"}

The backend aot_eager shows that the graph is whole, forward and backward; inductor also compiles it. Without names: the
smallest member of each family, made light unless `--published`. Gradients are compared for the light ones only: that is
one more graph to compile, and a family's members have the same layers.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from sightline.engine.devices import deep_graphs
from sightline.errors import UsageError
from sightline.models.create import create_model
from tests.distinct import farthest, fill_lively
from tests.smallest import SMALLEST


def pictures(network: nn.Module) -> Iterator[Tensor]:
    """Smaller ones than its own first, where it takes them, also while it trains: auxiliary heads ask for more."""
    channels, height, width = network.input_size
    sizes = ((33, 41), (97, 97), (161, 161), (height, width))
    for size in dict.fromkeys((min(height, tall), min(width, wide)) for tall, wide in sizes):
        if _takes(network, torch.zeros(2, channels, *size)):
            yield torch.randn(4, channels, *size, generator=torch.Generator().manual_seed(0))


def _takes(network: nn.Module, x: Tensor) -> bool:
    try:
        with torch.no_grad():
            network.train()(x)
    except UsageError:
        return False
    return True


def check(name: str, backend: str, options: dict[str, Any], *, compare: bool = True) -> None:
    """AssertionError or torch's own where a promise is broken; `compare` gradients too."""
    network = create_model(name, num_classes=5, **options)
    for x in pictures(network):
        fill_lively(network, x.flip(3), seed=1)  # ends in evaluation mode
        rounding = off_by_rounding(network, x)
        if rounding <= 1e-4:  # maps of one pixel leave norms next to nothing to divide by
            break
    shapes = {"x": {0: torch.export.Dim("batch", min=2, max=64)}}
    program = torch.export.export(network, (x,), dynamic_shapes=shapes, strict=True)
    again = x[:2].flip(2)
    with torch.no_grad():
        expected = network(x)
        assert farthest(network(x.flip(2)), expected) > 0.01, "it answers every image alike: this shows nothing"
        assert farthest(program.module()(again), network(again)) <= 1e-3, "the exported network answers otherwise"
    compiled = torch.compile(network, fullgraph=True, backend=backend)
    if compare:
        ours, theirs = gradients(compiled, network, x), gradients(network, network, x)
        largest = max(gradient.abs().max() for gradient in theirs)
        for mine, other in zip(ours, theirs, strict=True):  # some are zero, but for rounding: a bias before a norm
            assert other.abs().max() < 1e-5 * largest or farthest(mine, other) <= 1e-2, "its gradients differ compiled"
    with torch.no_grad():
        most = max(1e-3, 4 * rounding)  # a thousand layers
        assert farthest(compiled(x), expected) <= most, "it answers otherwise compiled"
    training = gradients(torch.compile(network.train(), fullgraph=True, backend=backend), network, x)
    assert all(gradient.isfinite().all() for gradient in training), "it cannot be trained compiled"


@torch.no_grad()
def off_by_rounding(network: nn.Module, x: Tensor) -> float:
    """How far its answers are from those in 64 bits."""
    return farthest(network(x).double(), copy.deepcopy(network).double()(x.double()))


def gradients(call: Callable[[Tensor], Any], network: nn.Module, x: Tensor) -> list[Tensor]:
    network.zero_grad()
    answer = call(x)
    scores = answer if isinstance(answer, tuple) else (answer,)  # auxiliary heads speak while they train
    torch.stack(scores).square().mean().backward()
    return [p.grad.clone() for p in network.parameters() if p.grad is not None]


def main() -> None:
    torch.set_num_threads(1)
    backend, *names = (word for word in sys.argv[1:] if word != "--published")
    published = "--published" in sys.argv
    light: dict[str, dict[str, Any]] = {} if published else SMALLEST
    for name in names or sorted(SMALLEST):
        start = time.perf_counter()
        line: dict[str, Any] = {"name": name, "error": None}
        try:
            with deep_graphs():
                check(name, backend, light.get(name, {}), compare=not published)
        except Exception as error:  # whatever a compiler says
            line["error"] = f"{type(error).__name__}: {str(error)[:500]}"
        torch._dynamo.reset()
        print(json.dumps(line | {"seconds": round(time.perf_counter() - start, 1)}), flush=True)


if __name__ == "__main__":
    main()
