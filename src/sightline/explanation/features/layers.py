"""The layers of a network as one forward pass meets them: names, shapes, receptive fields, and their activations.

A layer is a module that returns one tensor with a row an image. Its units are the channels of a map (b, c, h, w), the last
axis of a map (b, h, w, c) or of tokens (b, n, d), the entries of a vector (b, d). Names are those that `describe` prints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import UsageError, nearest
from sightline.explanation.attribution.layers import layout_of
from sightline.explanation.subject import undisturbed
from sightline.layers.receptive import End, ReceptiveFields, View
from sightline.preprocessing.normalise import Normalise, Normalised

Run = Callable[[Float[Tensor, "b c h w"]], Any]  # pixels through the network; what comes out does not matter

_POOLED = {"mean", "sum", "avg_pool2d", "_adaptive_avg_pool2d", "adaptive_max_pool2d", "amax", "max"}
_FLAT = {"view", "_unsafe_view", "reshape", "flatten", "_reshape_alias", "squeeze"}
_IDLE = {"Flatten", "Identity", "Dropout", "Dropout2d", "Unflatten"}  # modules that compute nothing
_NORMS = {"native_group_norm", "native_layer_norm", "native_batch_norm"}


@dataclass(frozen=True)
class Layer:
    """A module's output in the first call of a forward pass.

    name    as `describe` prints it
    kind    the class of the module
    shape   without the batch
    layout  "map", "channels last", "tokens" or "vector"
    view    the receptive field of one place; None where it covers the whole image or cannot be traced
    end     where the trace ended
    calls   in one forward pass; a module that is called again has further outputs, which are not shown
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    layout: str
    view: View | None = None
    end: End | None = field(default=None, compare=False)
    calls: int = 1

    @property
    def units(self) -> int:
        return self.shape[0] if self.layout == "map" else self.shape[-1]

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns; tokens are one row, a vector is one place."""
        return {
            "map": self.shape[1:], "channels last": self.shape[:2], "tokens": (1, self.shape[0]), "vector": (1, 1),
        }[self.layout]  # type: ignore[return-value]  # fmt: skip

    def by_unit(self, output: Tensor) -> Float[Tensor, "b k h w"]:
        """An output as a map of units."""
        if self.layout == "channels last":
            return output.permute(0, 3, 1, 2)
        if self.layout == "tokens":
            return output.transpose(1, 2).unsqueeze(2)  # (b, n, d) → (b, d, 1, n)
        return output if self.layout == "map" else output[:, :, None, None]

    def whole(self) -> str:
        """Why the receptive field is the whole image, in a sentence; empty where it is smaller."""
        if self.view is not None:
            return ""
        if self.end is None:
            return "its receptive field could not be traced: the whole image counts"
        where = f" in {self.end.within}" if self.end.within else ""
        if self.end.operation in _POOLED:
            return f"its receptive field is the whole image: a mean over all places{where} comes before it"
        if self.end.operation in _FLAT and self.end.axes <= 3:
            return f"its receptive field is the whole image: all places are joined{where} before it"
        if self.end.operation in _NORMS:
            return f"its receptive field is the whole image: a norm{where} takes its statistics over places"
        return f"its receptive field is not traced through {self.end.operation}{where}: the whole image counts"


def bare(network: nn.Module) -> nn.Module:
    """The network without the normalisation in front, whose modules have the names that `describe` prints."""
    return network.network if isinstance(network, Normalised) else network


def layers_of(network: nn.Module, run: Run, pixels: Float[Tensor, "1 c h w"]) -> list[Layer]:
    """Every layer in the order in which it is first finished; one image is sent through."""
    start = pixels.detach().clone()
    fields, found = ReceptiveFields(start), dict[str, Layer]()
    inside = bare(network)

    def before(name: str) -> Callable[..., None]:
        return lambda *_: fields.within.append(name)

    def after(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            fields.within.pop()
            if name in found:
                found[name] = replace(found[name], calls=found[name].calls + 1)
            elif name and isinstance(output, Tensor) and (layout := _layout(output, start)):
                found[name] = Layer(
                    name,
                    type(module).__name__,
                    tuple(output.shape[1:]),
                    layout,
                    fields.of(output),
                    fields.end_of(output),
                )

        return hook

    with ExitStack() as stack, undisturbed(network), torch.no_grad():
        for name, module in inside.named_modules():
            if isinstance(module, Normalise):
                continue
            stack.callback(module.register_forward_pre_hook(before(name)).remove)
            stack.callback(module.register_forward_hook(after(name), always_call=True).remove)
        stack.enter_context(fields)
        run(start)
    return list(found.values())


def _layout(output: Tensor, pixels: Float[Tensor, "b c h w"]) -> str | None:
    if output.ndim < 2 or len(output) != len(pixels) or not output.is_floating_point():
        return None
    if output.ndim == 4:
        if tuple(output.shape[2:]) == (1, 1):
            return "map"
        height, width = pixels.shape[2:]
        down, across = output.shape[2] / height, output.shape[3] / width
        padded = max(down, across) <= 1 and max(down, across) < 1.2 * min(down, across)  # inside the network
        return layout_of(output, (height, width)) or ("map" if padded else None)
    return {2: "vector", 3: "tokens"}.get(output.ndim)


def layer_named(layers: Sequence[Layer], name: str) -> Layer:
    """UsageError, with the nearest name, where there is none."""
    for layer in layers:
        if layer.name == name:
            return layer
    raise UsageError(f"the network has no layer {name!r} with an output", nearest(name, [one.name for one in layers]))


def chosen(layers: Sequence[Layer], most: int = 4) -> list[Layer]:
    """A handful of layers spread over the depth: for each size of map, and for tokens, the last of the outermost modules; at
    most `most`, the first and the last of them always."""
    sizes: dict[tuple[Any, ...], list[Layer]] = {}
    for layer in layers:
        if layer.calls > 1 or layer.kind in _IDLE:
            continue
        if layer.layout == "tokens" or (layer.layout != "vector" and layer.grid != (1, 1)):
            sizes.setdefault(("tokens",) if layer.layout == "tokens" else layer.grid, []).append(layer)
    outer = min((_depth(layer) for group in sizes.values() for layer in group), default=0)
    stages = []
    for group in sizes.values():
        depth = min(map(_depth, group))
        if depth <= outer + 2:  # deeper ones are details of an attention or a branch, not a stage
            stages.append([layer for layer in group if _depth(layer) == depth][-1])
    vectors = [layer for layer in layers if layer.layout == "vector" and layer.kind not in _IDLE]
    stages = sorted(stages, key=layers.index) or vectors
    if len(stages) <= most:
        return stages
    places = [round(i * (len(stages) - 1) / (most - 1)) for i in range(most)]
    return [stages[place] for place in dict.fromkeys(places)]


def _depth(layer: Layer) -> int:
    return layer.name.count(".")


@contextmanager
def activations(network: nn.Module, layers: Sequence[Layer]) -> Iterator[dict[str, Tensor]]:
    """Inside the block, the first output of each of the layers (b, k, h, w) in the last forward pass, by name; `clear` it
    between passes. With gradients where they are enabled."""
    kept: dict[str, Tensor] = {}
    inside = bare(network)

    def keep(layer: Layer) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if layer.name not in kept:
                kept[layer.name] = layer.by_unit(output.clone())  # an operation in place may follow

        return hook

    handles = [inside.get_submodule(layer.name).register_forward_hook(keep(layer)) for layer in layers]
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


class _Stopped(Exception):
    """A forward pass that has come far enough."""


@contextmanager
def stopped_behind(network: nn.Module, layer: Layer) -> Iterator[None]:
    """A forward pass inside the block ends as soon as the layer has its output, without an error; the block ends with it."""

    def stop(*_: Any) -> None:
        raise _Stopped

    handle = bare(network).get_submodule(layer.name).register_forward_hook(stop)
    try:
        yield
    except _Stopped:
        pass
    finally:
        handle.remove()
