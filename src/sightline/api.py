"""The public names. Everything that the command line does is one of these; no logic lives here."""

from sightline.models.create import create_model, list_models
from sightline.recipes.recipe import Recipe
from sightline.runs.run import Run, open_run
from sightline.verbs.data import audit
from sightline.verbs.doctor import doctor
from sightline.verbs.evaluate import evaluate
from sightline.verbs.export import export
from sightline.verbs.models import describe
from sightline.verbs.predict import predict
from sightline.verbs.report import report
from sightline.verbs.train import train
from sightline.verbs.verify import verify

__all__ = [
    "Recipe",
    "Run",
    "audit",
    "create_model",
    "describe",
    "doctor",
    "evaluate",
    "export",
    "list_models",
    "open_run",
    "predict",
    "report",
    "train",
    "verify",
]
