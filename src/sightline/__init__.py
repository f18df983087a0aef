"""sightline: deep learning for computer vision that you can see through.

    import sightline
    run = sightline.train("digits", model="lenet5")
    sightline.evaluate(run)

The names are those of `sightline.api`, and the packages `layers`, `losses`, `metrics` and `models`. All are loaded at
first use: importing sightline imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sightline import layers as layers
    from sightline import losses as losses
    from sightline import metrics as metrics
    from sightline import models as models
    from sightline.api import (
        Recipe,
        Run,
        attack,
        audit,
        build_book,
        compare,
        convert,
        create_model,
        cross_validate,
        describe,
        doctor,
        evaluate,
        explain,
        export,
        faces,
        label_errors,
        list_experiments,
        list_models,
        open_run,
        predict,
        pull,
        push,
        report,
        run_experiment,
        sample,
        serve,
        stylise,
        swap,
        train,
        tune,
        verify,
        write_playground,
    )

from sightline.version import __version__ as __version__

__all__ = [
    "Recipe",
    "Run",
    "attack",
    "audit",
    "build_book",
    "compare",
    "convert",
    "create_model",
    "cross_validate",
    "describe",
    "doctor",
    "evaluate",
    "explain",
    "export",
    "faces",
    "label_errors",
    "list_experiments",
    "list_models",
    "open_run",
    "predict",
    "pull",
    "push",
    "report",
    "run_experiment",
    "sample",
    "serve",
    "stylise",
    "swap",
    "train",
    "tune",
    "verify",
    "write_playground",
]
_PACKAGES = ("layers", "losses", "metrics", "models")


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"sightline.{name}")
    if name in __all__:
        return getattr(importlib.import_module("sightline.api"), name)
    raise AttributeError(f"module 'sightline' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_PACKAGES})
