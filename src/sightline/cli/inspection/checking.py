"""The commands `verify` and `doctor`: checks of a run and of this machine."""

from __future__ import annotations

from sightline import api
from sightline.cli.answering import Answer, answer
from sightline.cli.options import Json, Quiet, RunFolder, Verbose
from sightline.cli.start import doing
from sightline.cli.wording import checks_text
from sightline.runs.console import Console

VERIFY_EXAMPLES = ("verify runs/photos", "verify runs/photos --json")
DOCTOR_EXAMPLES = ("doctor", "doctor --json")


def verify(run: RunFolder, json: Json = False, verbose: Verbose = 0, quiet: Quiet = False) -> None:
    """Check that the files of a run (weights, metrics, predictions, checkpoints) have not changed since they were written."""

    def work(console: Console) -> Answer:
        with doing(console, f"checking {run}"):
            result = api.verify(run)
        return Answer(result, lambda result: checks_text(result["files"], "file", "state"))

    answer(work, json=json, level=verbose - quiet)


def doctor(json: Json = False, verbose: Verbose = 0, quiet: Quiet = False) -> None:
    """Check this machine: versions, disk, memory and device."""

    def work(console: Console) -> Answer:
        with doing(console, "checking this machine"):
            result = api.doctor()
        return Answer(result, lambda result: checks_text(result["checks"], "name", "value"))

    answer(work, json=json, level=verbose - quiet)
