"""Networks through torch.compile and torch.export, in a process of their own: neither passes where shapes are checked.

    python -m tests.compiled BACKEND [--published] [NAME…]     → JSON lines: {"name", "error": null or words, "seconds"}

The backend aot_eager shows that the graph is whole, forward and backward; inductor also compiles it. Without names: the
smallest member of each family, made light unless `--published`. Gradients are compared for the light ones only: that is
one more graph to compile, and a family's members have the same layers.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.models.create import create_model
from tests.distinct import farthest, fill_lively
from tests.smallest import SMALLEST


def images(network: nn.Module, batch: int) -> Tensor:
    """Of its own size, or smaller where it takes that, also while it trains: auxiliary heads ask for more."""
    channels, height, width = network.input_size
    sizes = [(min(height, 33), min(width, 41)), (min(height, 97), min(width, 97)), (height, width)]
    size = next(size for size in sizes if _takes(network, torch.zeros(2, channels, *size)))
    return torch.randn(batch, channels, *size, generator=torch.Generator().manual_seed(0))


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
    x = images(network, 4)
    fill_lively(network, x.flip(3), seed=1)  # ends in evaluation mode
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
        assert farthest(compiled(x), expected) <= 1e-3, "it answers otherwise compiled"
    training = gradients(torch.compile(network.train(), fullgraph=True, backend=backend), network, x)
    assert all(gradient.isfinite().all() for gradient in training), "it cannot be trained compiled"


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
            check(name, backend, light.get(name, {}), compare=not published)
        except Exception as error:  # whatever a compiler says
            line["error"] = f"{type(error).__name__}: {str(error)[:500]}"
        torch._dynamo.reset()
        print(json.dumps(line | {"seconds": round(time.perf_counter() - start, 1)}), flush=True)


if __name__ == "__main__":
    main()
