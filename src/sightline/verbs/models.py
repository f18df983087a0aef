"""models, describe: the list of networks, and the layers of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sightline.errors import UsageError
from sightline.recipes.names import catalogue, require_match, require_network

if TYPE_CHECKING:
    from torch import nn


def models(pattern: str = "*") -> dict[str, Any]:
    """Every network whose name matches the shell pattern: name, family, what it outputs, and parameters and multiply-adds
    at its usual input. Those of the package come from its catalogue, without torch. UsageError if none does."""
    known = catalogue()
    return {"models": [known.get(name) or row_of(name) for name in require_match(pattern)]}


def row_of(name: str) -> dict[str, Any]:
    """The row of a network as built; its multiply-adds, which take seconds for some, are left open."""
    from sightline.models import MODELS
    from sightline.models.create import outline
    from sightline.models.describe import parameters_of

    network: Any = outline(name)
    return {
        "name": name,
        "family": MODELS[name].__module__.rsplit(".", 1)[-1],
        "outputs": MODELS.heading(name),
        "parameters": parameters_of(network),
        "multiply_adds": None,
        "input": list(network.input_size),
    }


def describe(
    model: str | nn.Module,
    options: Sequence[str] | Mapping[str, Any] = (),
    *,
    input: str | tuple[int, int, int] | None = None,
    num_classes: int | None = None,
    classes: int | None = None,
) -> dict[str, Any]:
    """Layer by layer and module by module: output shape, parameters, multiply-adds, receptive field.

    input          "CxHxW", or (c, h, w)
    options        of a network by name: `{"small_images": True}` or `["small_images=true"]`
    num_classes    outputs of the head, for a network by name; `classes` is its older spelling
    """
    if classes is not None:
        if num_classes is not None:
            raise UsageError("num_classes is given twice", "leave out classes, its older spelling")
        num_classes = classes
    shape = parse_shape(input) if isinstance(input, str) else input
    if isinstance(model, str):
        require_network(model)  # before torch is imported
    from sightline.models.describe import describe as describe_network
    from sightline.recipes.reading import parse_overrides

    given = dict(options) if isinstance(options, Mapping) else parse_overrides(options)
    return describe_network(model, input=shape, num_classes=num_classes, options=given)


def parse_shape(text: str) -> tuple[int, int, int]:
    """ "3x224x224" → (3, 224, 224)."""
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(p.isdecimal() and int(p) > 0 for p in parts):
        raise UsageError(f"input {text!r} is not CxHxW", "use channels, height and width, such as 3x224x224")
    return int(parts[0]), int(parts[1]), int(parts[2])
