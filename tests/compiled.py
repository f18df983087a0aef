"""Networks through torch.compile and torch.export, in a process of their own: neither passes where shapes are checked.

    python -m tests.compiled BACKEND [--published] [NAME…]     → JSON lines: {"name", "error": null or words, "seconds"}

The backend aot_eager shows that the graph is whole, forward and backward; inductor also compiles it. Without names: the
smallest member of each family, made light unless `--published`.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import torch
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.models.create import create_model
from tests.smallest import SMALLEST


def images(network: nn.Module, batch: int) -> Tensor:
    """Of its own size, or smaller where it takes that."""
    channels, height, width = network.input_size
    x = torch.randn(batch, channels, min(height, 33), min(width, 41), generator=torch.Generator().manual_seed(0))
    try:
        with torch.no_grad():
            network(x[:1])
    except UsageError:
        side = 97 if height > 97 and _takes(network, 97) else height
        x = torch.randn(batch, channels, side, side, generator=torch.Generator().manual_seed(0))
    return x


def _takes(network: nn.Module, side: int) -> bool:
    try:
        with torch.no_grad():
            network(torch.zeros(1, network.input_size[0], side, side))
    except UsageError:
        return False
    return True


def check(name: str, backend: str, options: dict[str, Any]) -> None:
    """AssertionError or torch's own where a promise is broken."""
    network = create_model(name, num_classes=5, **options).eval()
    x = images(network, 3)
    shapes = {"x": {0: torch.export.Dim("batch", min=2, max=64)}}
    program = torch.export.export(network, (x,), dynamic_shapes=shapes, strict=True)
    again = x[:2].flip(0)
    with torch.no_grad():
        assert near(program.module()(again), network(again)), "the exported network answers otherwise"
    compiled = torch.compile(network, fullgraph=True, backend=backend)
    for call in (compiled, network):
        network.zero_grad()
        call(x).square().mean().backward()
        gradients = [p.grad.clone() for p in network.parameters() if p.grad is not None]
        if call is compiled:
            first = gradients
    assert all(near(a, b) for a, b in zip(first, gradients, strict=True)), "its gradients differ compiled"
    with torch.no_grad():
        assert near(compiled(x), network(x)), "it answers otherwise compiled"


def near(got: Tensor, expected: Tensor) -> bool:
    return bool((got - expected).abs().max() <= 1e-3 * expected.abs().max() + 1e-6)


def main() -> None:
    torch.set_num_threads(1)
    backend, *names = (word for word in sys.argv[1:] if word != "--published")
    light: dict[str, dict[str, Any]] = {} if "--published" in sys.argv else SMALLEST
    for name in names or sorted(SMALLEST):
        start = time.perf_counter()
        line: dict[str, Any] = {"name": name, "error": None}
        try:
            check(name, backend, light.get(name, {}))
        except Exception as error:  # whatever a compiler says
            line["error"] = f"{type(error).__name__}: {str(error)[:500]}"
        torch._dynamo.reset()
        print(json.dumps(line | {"seconds": round(time.perf_counter() - start, 1)}), flush=True)


if __name__ == "__main__":
    main()
