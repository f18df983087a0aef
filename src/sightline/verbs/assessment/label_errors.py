"""label_errors: which labels of a data set are probably wrong, by predictions for images outside of training."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sightline.data.dataset import Dataset
from sightline.data.formats.passed.sources import is_passed, name_of_data
from sightline.drawing.png import Picture
from sightline.errors import SightlineError, UsageError
from sightline.evaluation.label_errors.finding import LabelFindings, Suspicion
from sightline.kinds.catalogue import kind_of
from sightline.kinds.kind import Kind
from sightline.kinds.opening import draft, open_dataset, require_there, same_data
from sightline.models.own import name_of
from sightline.recipes.recipe import Draft
from sightline.reports.pages.label_errors import headline, label_errors_page
from sightline.runs.console import Console
from sightline.runs.run import Run, open_run
from sightline.storage.files import make_folder, replace_file
from sightline.storage.text import csv_text, json_text, printable

from .folds import evidence_of, evidence_of_folds, train_folds
from .suspicion_image import picture_of

FORMAT = "sightline-label-errors"
OUTSIDE = ("val", "test")  # splits of a run that it did not train on
_COLUMNS = (
    "path",
    "candidate",
    "fault",
    "label",
    "suggested",
    "quality",
    "probability",
    "suggested_probability",
    "words",
)


@dataclass(frozen=True)
class LabelErrors:
    """`findings` hold every annotation, ranked, with its `candidates`; `facts` are the JSON; `folder` holds them as
    label-errors.json, .csv and .html."""

    findings: LabelFindings
    facts: dict[str, Any]
    folder: Path

    def to_json(self) -> dict[str, Any]:
        return {"folder": str(self.folder), **self.facts}


@dataclass(frozen=True)
class _Search:
    """What was searched, and by which networks."""

    data: Dataset
    kind: Kind
    model: str
    how: str
    splits: tuple[str, ...]
    folds: int | None
    command: str


def label_errors(
    what: Any,
    overrides: str | Sequence[str] | Mapping[str, Any] = (),
    *,
    folds: int | None = None,
    model: str | None = None,
    epochs: float | None = None,
    seed: int | None = None,
    device: str | None = None,
    out: str | Path | None = None,
    allow_network: bool = False,
    console: Console | None = None,
) -> LabelErrors:
    """Find labels that are probably wrong, and write OUT/label-errors.json, .csv and .html.

    WHAT is data, or a recipe, as `train` takes them: `folds` networks (default 5) are trained, each on all folds but one, so
    that every image is predicted by a network that did not train on it. Recipe keys, `model`, `epochs` and `seed` are theirs;
    by default these trainings are short. The same call goes on where it was stopped.

    WHAT may also be a finished run (a folder or a `Run`): then only its validation and test images are checked, without a
    training. Its training images cannot be: a network knows them by heart, wrong labels and all.

    `out` is the folder, by default runs/<data>-label-errors, or RUN/label-errors. Classes are ranked by confident learning
    (Northcutt et al. 2021, arXiv 1911.00068), boxes by ObjectLab (Tkachenko et al. 2023, arXiv 2309.00832), masks by the
    softmin of their pixels (Lad & Mueller 2023, arXiv 2307.05080).
    UsageError for settings that do not fit.
    """
    console = console or Console()
    if (run := _as_run(what)) is not None:
        given = {"folds": folds, "model": model, "epochs": epochs, "seed": seed, "overrides": overrides or None}
        if named := [name for name, value in given.items() if value is not None]:
            raise UsageError(
                f"{run.folder} is trained already, so {named[0]} has no effect",
                f"leave it out, or train folds with its recipe: {run.folder / 'recipe.yaml'}",
            )
        folder = Path(out) if out is not None else run.folder / "label-errors"
        return _of_run(run, folder, device or "auto", console)
    k = 5 if folds is None else folds
    if not 2 <= k <= 20:
        raise UsageError(f"--folds is {k}", "use 2 to 20")
    flags = {
        "model.name": None if model is None else name_of(model), "fit.epochs": epochs, "seed": seed, "fit.device": device,
        "data.allow_network": allow_network or None, "model.allow_network": allow_network or None,
    }  # fmt: skip
    where = name_of_data(what)
    given_draft = draft(where, overrides, flags)
    if given_draft.data.fold is not None:
        raise UsageError(
            f"data.fold={given_draft.data.fold} has no effect: every fold is held out in turn",
            "leave it out, or set data.fold=null",
        )
    folder = Path(out) if out is not None else Path("runs") / f"{_slug(given_draft)}-label-errors"
    trained = train_folds(given_draft, k, folder / "folds", console)
    rows = evidence_of_folds(trained, device or "auto")
    first = trained.runs[0].recipe
    images = len(trained.data)
    how = f"{k} networks, each trained for {first.fit.epochs:g} epochs on all images but a {_ordinal(k)} of them"
    command = _command(where, overrides, k, model, epochs, out)
    search = _Search(trained.data, trained.kind, first.model.name, how, ("all",), k, command)
    console.say(f"judging {images:,} images")
    return _write(search, type(rows[0]).join(rows), folder, console)


def _of_run(run: Run, folder: Path, device: str, console: Console) -> LabelErrors:
    """The validation and test images of a finished run."""
    kind = kind_of(run)
    if kind.labels is None or kind.scoring is None:
        raise UsageError(f"labels of {kind.name} cannot be checked", "use a run on classes, boxes or masks")
    require_there(run.recipe, "restore them")
    data = open_dataset(run.recipe, console)
    same_data(run, data)
    parts = list(evidence_of(run, kind, data, device, OUTSIDE))
    if not parts:
        raise UsageError(
            f"{run.folder} has no validation or test images, and its training images cannot be checked by itself",
            f"train folds: sightline label-errors {run.folder / 'recipe.yaml'}",
        )
    splits = tuple(split for split, _ in parts)
    left = len(data.ids("train"))
    console.say(
        f"checking the {' and '.join(splits)} images only: the network knows its {left:,} training images by heart. "
        f"To check all: sightline label-errors {run.folder / 'recipe.yaml'}"
    )
    how = f"one network, trained on {left:,} other images, which are not checked"
    search = _Search(data, kind, run.recipe.model.name, how, splits, None, f"sightline label-errors {run.folder.name}")
    rows = [part for _, part in parts]
    return _write(search, type(rows[0]).join(rows), folder, console)


def _write(search: _Search, evidence: Any, folder: Path, console: Console) -> LabelErrors:
    """Judge, and write all three files."""
    data, check = search.data, search.kind.labels
    assert check is not None
    findings = check.judge(evidence, data.classes)
    names = {i: printable(data.records[i].name) for i in {s.id for s in findings.ranked}}
    facts = {
        "format": FORMAT, "version": 1, "data": data.name, "task": search.kind.name, "model": search.model,
        "folds": search.folds, "splits": list(search.splits), "n": findings.n, "checked": findings.checked,
        "unit": findings.unit, "estimated_wrong": findings.wrong, "agreement": findings.agreement,
        "verdict": headline(findings),
        "candidates": [{"path": names[s.id], **s.to_json()} for s in findings.candidates],
    }  # fmt: skip
    make_folder(folder)
    lines = ([names[s.id], *_cells(s)] for s in findings.ranked)
    replace_file(folder / "label-errors.csv", csv_text(_COLUMNS, lines).encode())
    replace_file(folder / "label-errors.json", (json_text(facts) + "\n").encode())
    with console.working("writing the page"):
        page = label_errors_page(
            findings,
            name=data.name,
            names=lambda i: names[i],
            picture=lambda s: _picture(data, search.kind, s),
            chips=(search.kind.name, search.model, f"{findings.n:,} images"),
            command=search.command,
            facts=_facts(search, findings),
        )
    replace_file(folder / "label-errors.html", page.encode())
    console.say(f"page: {folder / 'label-errors.html'}")
    return LabelErrors(findings, facts, folder)


def _cells(s: Suspicion) -> list[Any]:
    numbers = [None if np.isnan(x) else float(f"{x:.6g}") for x in (s.quality, s.probability, s.other)]
    return [int(s.candidate), s.fault, printable(s.given), printable(s.suggested), *numbers, printable(s.words)]


def _facts(search: _Search, findings: LabelFindings) -> list[tuple[str, str]]:
    facts = [("predictions", search.how), ("network", search.model), ("images", f"{findings.n:,}")]
    if findings.agreement is not None:
        facts.append(("predictions agree with", f"{findings.agreement:.1%} of the {findings.unit}s"))
    return facts


def _picture(data: Dataset, kind: Kind, suspicion: Suspicion) -> Picture | None:
    try:
        pixels = data.pixels(suspicion.id)
    except SightlineError:  # the file has been removed or changed since the audit
        return None
    return picture_of(pixels, suspicion)


def _as_run(what: Any) -> Run | None:
    """The run that WHAT is, or the folder of which it is; None for data and recipes."""
    if isinstance(what, Run):
        return what
    if isinstance(what, str | Path) and not is_passed(str(what)) and os.path.isfile(Path(what) / "run.json"):
        return open_run(what)
    return None


def _slug(given: Draft) -> str:
    words = Path(given.data.path or given.data.name or "data").name
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in words).strip("-") or "data"


def _ordinal(k: int) -> str:
    return {2: "half", 3: "third", 4: "quarter", 5: "fifth"}.get(k, f"{k}th")


def _command(
    where: str, overrides: Any, k: int, model: str | None, epochs: float | None, out: str | Path | None
) -> str:
    pairs = [f"{key}={value}" for key, value in overrides.items()] if isinstance(overrides, Mapping) else overrides
    words = ["sightline label-errors", where, *([pairs] if isinstance(pairs, str) else pairs)]
    words += [f"--folds {k}"] + ([f"-m {model}"] if model else []) + ([f"--epochs {epochs:g}"] if epochs else [])
    return " ".join([*words, *([f"--out {out}"] if out is not None else [])])
