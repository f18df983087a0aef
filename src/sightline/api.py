"""The public names. Everything that the command line does is one of these; no logic lives here.

Each is imported at its first use, so that checking a run or listing networks does not wait for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sightline.lab.book import build_book, run_experiment
    from sightline.lab.catalogue import list_experiments
    from sightline.lab.playground import write_playground
    from sightline.models.create import create_model, list_models
    from sightline.recipes.recipe import Recipe
    from sightline.verbs.assessment.compare import compare
    from sightline.verbs.assessment.label_errors import label_errors
    from sightline.verbs.attack import attack
    from sightline.verbs.convert import convert
    from sightline.verbs.data import audit
    from sightline.verbs.doctor import doctor
    from sightline.verbs.evaluate import evaluate
    from sightline.verbs.explain import explain
    from sightline.verbs.export import export
    from sightline.verbs.generating.faces import faces
    from sightline.verbs.generating.sample import sample
    from sightline.verbs.generating.stylise import stylise
    from sightline.verbs.generating.swap import swap
    from sightline.verbs.hub import pull, push
    from sightline.verbs.models import describe
    from sightline.verbs.predict import predict
    from sightline.verbs.report import report
    from sightline.verbs.run import Run, open_run
    from sightline.verbs.serve import serve
    from sightline.verbs.studies.members import cross_validate
    from sightline.verbs.studies.tune import tune
    from sightline.verbs.train import train
    from sightline.verbs.verify import verify

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

_HOMES = {
    "Recipe": "kinds.catalogue",
    "Run": "verbs.run",
    "attack": "verbs.attack",
    "audit": "verbs.data",
    "build_book": "lab.book",
    "compare": "verbs.assessment.compare",
    "convert": "verbs.convert",
    "create_model": "models.create",
    "cross_validate": "verbs.studies.members",
    "describe": "verbs.models",
    "doctor": "verbs.doctor",
    "evaluate": "verbs.evaluate",
    "explain": "verbs.explain",
    "export": "verbs.export",
    "faces": "verbs.generating.faces",
    "label_errors": "verbs.assessment.label_errors",
    "list_experiments": "lab.catalogue",
    "list_models": "models.create",
    "open_run": "verbs.run",
    "predict": "verbs.predict",
    "pull": "verbs.hub",
    "push": "verbs.hub",
    "report": "verbs.report",
    "run_experiment": "lab.book",
    "sample": "verbs.generating.sample",
    "serve": "verbs.serve",
    "stylise": "verbs.generating.stylise",
    "swap": "verbs.generating.swap",
    "train": "verbs.train",
    "tune": "verbs.studies.tune",
    "verify": "verbs.verify",
    "write_playground": "lab.playground",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sightline.api' has no attribute {name!r}")
    return getattr(importlib.import_module(f"sightline.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
