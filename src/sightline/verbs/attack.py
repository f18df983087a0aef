"""attack: how does a run's network break? Adversarial images within a budget, corruptions, patches, controlled change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sightline.attacks.scores import Scores
from sightline.attacks.subject import Subject
from sightline.data.dataset import Dataset
from sightline.data.loaders import Images, in_order
from sightline.engine.devices import choose_device, compute_threads, repeatable
from sightline.errors import UsageError
from sightline.explanation.question import Choice
from sightline.inference.operating import operating_score
from sightline.kinds.attack_families.catalogue import OF_CLASSES, family_of, known
from sightline.kinds.attack_families.measured import Measured
from sightline.kinds.attack_families.request import Family, Request, unused
from sightline.kinds.catalogue import kind_of
from sightline.kinds.networks import load_task
from sightline.kinds.pretrained import STATUS, open_run_or_model
from sightline.models.folding import fold_batchnorm
from sightline.models.own import Builder
from sightline.recipes.loading import choose
from sightline.runs.console import Console
from sightline.runs.run import Run
from sightline.storage.files import make_folder, replace_file
from sightline.storage.text import json_text
from sightline.structures.batch import Batch
from sightline.tasks.task import Task

from .evaluate import select

BATCH = 64  # images of one forward pass
FEW_AT_ONCE = 4  # where the answer is larger than a class
ONE_PIXEL = "one-pixel"
MANY, FEW = 200, 20  # images by default


@dataclass(frozen=True)
class AttackResult:
    """`facts` are the JSON of the attack; `page` its HTML file, beside which its images and its contact sheet lie."""

    run: Run
    facts: dict[str, Any]
    page: Path

    def to_json(self) -> dict[str, Any]:
        return {"run": str(self.run.folder), "page": str(self.page), **self.facts}


def attack(  # noqa: PLR0913 - the options of the command line
    run: Run | str | Path,
    data: Any = None,
    *,
    method: str = "pgd",
    eps: float | Sequence[float] | None = None,
    steps: int | None = None,
    norm: str | None = None,
    target: str | None = None,
    region: str | None = None,
    object: int | None = None,
    n: int | None = None,
    split: str | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    device: str = "auto",
    model: str | nn.Module | Builder | None = None,
    allow_network: bool = False,
    console: Console | None = None,
) -> AttackResult:
    """Attack a run's network and write OUT/<method>.json, .html and .png with the images beside them.

    data      other images with the run's classes; by default the run's own test split, else val. Images without a label
              count as the class that the network predicts before the attack
    method    fgsm, pgd, apgd, square, one-pixel, patch, fooling, corruptions or changes
    eps       the budgets in levels of 255, ascending; for a patch, shares of the image's side
    steps     of the method: gradient steps, queries or generations
    norm      "linf" or "l2"
    target    the class to reach; any other class by default
    region    of segmenters and detectors: only the pixels or objects of this class are attacked
    object    of detectors: only the detection with this number is attacked, 0 the surest of each image
    n         images at most, the same ones for every method: 200, or 20 where answers are no classes of images; seed keys
              every random draw of an image
    out       the folder; RUN/attacks by default, attacks/<name> for a network with published weights

    allow_network  fetch data that are an address

    UsageError for an unknown method, class or budget, and for a method that does not work on this kind of task.
    """
    run, console = run if isinstance(run, Run) else open_run_or_model(run, model), console or Console()
    known(method)
    request = Request.of(method, eps, steps, norm, target, seed, run.classes, region, object)
    folder = Path(out) if out is not None else _place(run)
    if n is not None and n < 1:
        raise UsageError(f"--n is {n}", "use at least 1 image")
    chosen_device = choose_device(device)
    with compute_threads(run.recipe.fit.threads), repeatable(chosen_device):
        task = load_task(run).to(chosen_device)
        found, split, ids = select(run, data, split, console, verb="attack", allow_network=allow_network)
        subject, family = _subject(run, task, found, ids, n, request)
        make_folder(folder / method)
        with console.working(f"attacking {len(subject)} images with {method}") as phase:
            outcome = family(subject, request, folder / method, phase.over)
    facts = {"format": "sightline-attack", "version": 1, "data": found.name, "split": split, **outcome.facts}
    command = _command(run, data, request, n, split)
    page = folder / f"{method}.html"
    replace_file(page, outcome.page(run.folder.name, command).encode())
    if outcome.sheet is not None:
        replace_file(folder / f"{method}.png", outcome.sheet)
    replace_file(folder / f"{method}.json", (json_text(facts) + "\n").encode())
    console.say(f"page: {page}")
    return AttackResult(run, facts, page)


def _place(run: Run) -> Path:
    """RUN/attacks; beside the current folder where the run is a network in the cache."""
    if run.status.get("status") == STATUS:
        return Path("attacks") / run.recipe.model.name
    return run.folder / "attacks"


def _subject(
    run: Run, task: Task, found: Dataset, ids: np.ndarray, n: int | None, request: Request
) -> tuple[Subject | Measured, Family]:
    """The images, chosen by hash, in the network's frame, and what attacks them."""
    kind, device = kind_of(run), task.device
    one = next(in_order(_images(run, found, ids[:1]), 1)).to(device)
    scores = _class_scores(run, task, one)
    if scores is None:
        family = family_of(request.method, kind)
        ids = choose(ids, FEW if n is None else n)
        batches = tuple(batch.to(device) for batch in in_order(_images(run, found, ids), FEW_AT_ONCE))
        by_id = {int(i): found.records[int(i)].name for i in ids}
        score = operating_score(run, kind)
        return Measured(kind, task, batches, run.classes, by_id, 0.5 if score is None else score[0]), family
    unused(request, eps="", steps="", norm="", target="")
    labelled = ids[found.index[ids] >= 0]
    ids = choose(labelled if len(labelled) else ids, MANY if n is None else n)
    pixels = torch.cat([batch.image for batch in in_order(_images(run, found, ids), BATCH)]).contiguous()
    labels, keys = (torch.from_numpy(x.astype(np.int64)) for x in (found.index[ids], ids))
    names = tuple(found.records[int(i)].name for i in ids)
    subject = Subject(scores, pixels.to(device), labels.to(device), keys.to(device), names, run.classes, BATCH)
    if request.method == ONE_PIXEL:
        subject = replace(subject, quick=_folded(scores, one))
    return subject if len(labelled) else subject.as_predicted(), OF_CLASSES[request.method]


def _images(run: Run, found: Dataset, ids: np.ndarray) -> Images:
    kind = kind_of(run)
    return kind.load(found, ids, run.preprocessing, run.recipe, truths=kind.truths, judging=True)


def _class_scores(run: Run, task: Task, one: Batch) -> Scores | None:
    """Pixels → class scores (b, k), by the score of one image; None where an image has no single class."""
    sensitivity = kind_of(run).sensitivity
    if sensitivity is None or sensitivity.exposure is not None:
        return None
    asked = sensitivity.ask(task, one, Choice(), run.classes).subject
    return asked.scores if asked.classes else None


def _folded(scores: Scores, one: Batch) -> Scores | None:
    """The network without the batch norms that can be folded, for searches of many candidates; None where it is no module that
    can be followed."""
    if not isinstance(scores, nn.Module):
        return None
    try:
        return fold_batchnorm(scores, one.image[:1].float())
    except (RuntimeError, TypeError, ValueError):  # a network of the user's own may do what a trace cannot follow
        return None


def _command(run: Run, data: Any, request: Request, n: int | None, split: str) -> str:
    words = [
        "sightline attack",
        run.folder.name,
        *([str(data)] if isinstance(data, str | Path) else []),
        f"--method {request.method}",
    ]
    words += request.words()
    for name, index in (("target", request.target if request.method != "patch" else None), ("region", request.region)):
        words += [] if index is None else [f"--{name} {run.classes[index]}"]
    words += [] if n is None else [f"--n {n}"]
    words += [f"--split {split}"] if split != "all" else []
    return " ".join(words)
