"""Parameter names in other people's files, translated to ours.

A family whose names differ from torchvision's or timm's has a function `as_torchvision` or `as_timm` beside its
variants, and `unlike_timm` where outputs may differ although all tensors fit. torchvision's own older files are another
matter: its classes have renamed their parameters since, and translate as they load.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from torch import Tensor, nn

from .catalogue import MODELS

RENAMINGS = ("as_torchvision", "as_timm", "as_published")
WRAPPERS = ("module.", "_orig_mod.")  # prefixes of all names saved from a parallel or a compiled network
# pattern of torchvision's older name, replacement
OLD_NAMES = (
    (r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2."),
    (r"(\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$", r"\1.0.\2"),
    (r"^(rpn\.head\.conv)\.(weight|bias)$", r"\1.0.0.\2"),
    *((rf"(\.mask_head)\.mask_fcn{n}\.", rf"\1.{n - 1}.0.") for n in range(1, 5)),
)

Value = TypeVar("Value")


def candidates(model: str, state: Mapping[str, Tensor]) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """The state dict under every naming that a file for this network may use, with the name of the renaming; "" is none."""
    plain = dict(state)
    for wrapper in WRAPPERS * 2:  # in any order
        if all(name.startswith(wrapper) for name in plain):
            plain = {name.removeprefix(wrapper): x for name, x in plain.items()}
    yield "", plain
    modern = modern_names(plain)
    yield "", modern
    own = family(model)
    for renaming in RENAMINGS:
        if renaming in own:
            try:
                yield renaming, own[renaming](modern)
            except (KeyError, IndexError, ValueError, RuntimeError):  # a file of another publisher
                continue


def family(model: str) -> dict[str, Any]:
    """The names of the module that a network is registered in."""
    return vars(sys.modules[MODELS[model].__module__])


def in_rgb(
    model: str, state: dict[str, Tensor], habit: Mapping[str, Any] | None
) -> tuple[dict[str, Tensor], list[str]]:
    """The weights for red, green, blue, and a note where they were for the reverse (`published.convention`)."""
    if habit is None or habit["colours"] != "bgr":
        return state, []
    note = f"trained on pixels from 0 to 255 in the order blue, green, red, as {habit['publisher']}'s code does"
    return family(model)["in_rgb"](state), [f"{note}: exchanged here"]


def unlike(model: str, network: nn.Module, renaming: str) -> list[str]:
    """The family's note on how this network differs from the publisher's with the same weights, if there is one."""
    note = family(model).get(renaming.replace("as_", "unlike_"), lambda network: "")(network)
    return [note] if note else []


def features_as_trunk(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's names for a family whose `features` is a module there; here the module is `trunk`, `features` a method."""
    return {re.sub(r"^features\.", "trunk.", name): x for name, x in state.items()}


def modern_names(state: Mapping[str, Value]) -> dict[str, Value]:
    """torchvision's older names, translated to those of its classes today."""
    renamed = {}
    for name, value in state.items():
        for pattern, new in OLD_NAMES:
            name = re.sub(pattern, new, name)
        renamed[name] = value
    return renamed
