"""The vector of an image: what goes into the last layer of a classifier, the one that tells its classes apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import UsageError

_HEADS = (nn.Linear, nn.Conv2d)  # some networks score by a 1 x 1 convolution and average


def head_of(network: nn.Module, images: Tensor, classes: int) -> nn.Module:
    """The layer that gives the scores of a network: the last one executed whose outputs are as many as the classes.

    UsageError where the network does not give one vector an image, or has no such layer.
    """
    executed: list[nn.Module] = []
    with ExitStack() as stack:
        for layer in network.modules():
            if isinstance(layer, _HEADS):
                stack.callback(layer.register_forward_pre_hook(_noting(executed, layer)).remove)
        with torch.inference_mode():
            scores = network(images)
    if not isinstance(scores, Tensor) or scores.ndim != 2:
        raise UsageError("embed needs a network that outputs one vector an image", "use a run of classification")
    widths = {nn.Linear: "out_features", nn.Conv2d: "out_channels"}
    for layer in reversed(executed):
        width = next(getattr(layer, name) for kind, name in widths.items() if isinstance(layer, kind))
        if width == classes:
            return layer
    raise UsageError(
        "this network has no linear layer that outputs its scores, before which a vector could be taken",
        "end it with nn.Linear(…, classes)",
    )


def _noting(executed: list[nn.Module], layer: nn.Module) -> Callable[..., None]:
    return lambda *_: executed.append(layer)


@contextmanager
def inputs_of(layer: nn.Module) -> Iterator[Callable[[], Float[Tensor, "b d"]]]:
    """Within the context, what last went into the layer; a map (b, d, h, w) is averaged over its pixels."""
    last: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        last[:] = [inputs[0].detach()]

    def taken() -> Tensor:
        value = last[0]
        return value.flatten(2).mean(2) if value.ndim > 2 else value  # (b, d, h, w) → (b, d)

    handle = layer.register_forward_pre_hook(keep)
    try:
        yield taken
    finally:
        handle.remove()
