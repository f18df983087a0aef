"""sightline: deep learning for computer vision that you can see through.

    import sightline
    run = sightline.train("digits", model="lenet5")
    sightline.evaluate(run)

The names are those of `sightline.api`, loaded at first use: importing this package imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sightline.api import (
        Recipe,
        Run,
        audit,
        create_model,
        describe,
        doctor,
        evaluate,
        list_models,
        open_run,
        predict,
        report,
        train,
        verify,
    )

from sightline.version import __version__ as __version__

__all__ = [
    "Recipe",
    "Run",
    "audit",
    "create_model",
    "describe",
    "doctor",
    "evaluate",
    "list_models",
    "open_run",
    "predict",
    "report",
    "train",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("sightline.api"), name)
    raise AttributeError(f"module 'sightline' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
