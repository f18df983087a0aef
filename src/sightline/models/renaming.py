"""The names of parameters in other people's files, brought to ours.

A family whose names are not torchvision's or timm's has a function `as_torchvision` or `as_timm` beside its variants, and one
`unlike_timm` where answers may differ although all fits. The
names in torchvision's own older files are another matter: its classes have changed theirs since, and rename as they load.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from typing import TypeVar

from torch import Tensor, nn

from .catalogue import MODELS

RENAMINGS = ("as_torchvision", "as_timm")
WRAPPERS = ("module.", "_orig_mod.")  # before every name that a parallel or a compiled network saved
# pattern, today's name
OLD_NAMES = (
    (r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2."),
    (r"(\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$", r"\1.0.\2"),
    (r"^(rpn\.head\.conv)\.(weight|bias)$", r"\1.0.0.\2"),
    *((rf"(\.mask_head)\.mask_fcn{n}\.", rf"\1.{n - 1}.0.") for n in range(1, 5)),
)

Value = TypeVar("Value")


def candidates(model: str, state: Mapping[str, Tensor]) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """The state dict under every set of names that a file for this network may have, and by which renaming: as it is first,
    which is ""."""
    plain = dict(state)
    for wrapper in WRAPPERS * 2:  # in any order
        if all(name.startswith(wrapper) for name in plain):
            plain = {name.removeprefix(wrapper): x for name, x in plain.items()}
    yield "", plain
    today = of_today(plain)
    yield "", today
    family = vars(sys.modules[MODELS[model].__module__])
    for renaming in RENAMINGS:
        if renaming in family:
            try:
                yield renaming, family[renaming](today)
            except (KeyError, IndexError, ValueError, RuntimeError):  # not the file that it is for
                continue


def unlike(model: str, network: nn.Module, renaming: str) -> list[str]:
    """What the family knows of files under those names: in what its networks answer otherwise than their publisher's."""
    family = vars(sys.modules[MODELS[model].__module__])
    said = family.get(renaming.replace("as_", "unlike_"), lambda network: "")(network)
    return [said] if said else []


def features_as_trunk(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's names for a family whose `features` is a module there; here it is a function, and layers are `trunk`'s."""
    return {re.sub(r"^features\.", "trunk.", name): x for name, x in state.items()}


def of_today(state: Mapping[str, Value]) -> dict[str, Value]:
    """torchvision's older names under those that its classes have now."""
    renamed = {}
    for name, value in state.items():
        for pattern, new in OLD_NAMES:
            name = re.sub(pattern, new, name)
        renamed[name] = value
    return renamed
