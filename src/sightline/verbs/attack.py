"""attack: how does a run's network break? Adversarial images within a budget, corruptions, patches, controlled change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sightline.attacks.scores import Scores
from sightline.attacks.subject import Subject
from sightline.data.dataset import Dataset
from sightline.data.loaders import in_order
from sightline.engine.devices import choose_device, compute_threads, repeatable
from sightline.errors import UsageError
from sightline.explanation.question import Choice
from sightline.kinds.attack_families.catalogue import family_of
from sightline.kinds.attack_families.wish import Wish
from sightline.kinds.catalogue import kind_of
from sightline.kinds.networks import load_task
from sightline.kinds.pretrained import STATUS, open_run_or_model
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
    n: int = 200,
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
    n         images at most, the same ones for every method; seed keys every random draw of an image
    out       the folder; RUN/attacks by default, attacks/<name> for a network with published weights

    allow_network  fetch data that are an address

    UsageError for an unknown method, class or budget, and for a kind of task without class scores.
    """
    run, console = run if isinstance(run, Run) else open_run_or_model(run, model), console or Console()
    family = family_of(method)
    wish = Wish.of(method, eps, steps, norm, target, seed, run.classes)
    folder = Path(out) if out is not None else _place(run)
    if n < 1:
        raise UsageError(f"--n is {n}", "use at least 1 image")
    chosen_device = choose_device(device)
    with compute_threads(run.recipe.fit.threads), repeatable(chosen_device):
        task = load_task(run).to(chosen_device)
        found, split, ids = select(run, data, split, console, verb="attack", allow_network=allow_network)
        subject = _subject(run, task, found, ids, n)
        make_folder(folder / method)
        with console.working(f"attacking {len(subject)} images with {method}") as phase:
            outcome = family(subject, wish, folder / method, phase.over)
    facts = {"format": "sightline-attack", "version": 1, "data": found.name, "split": split, **outcome.facts}
    command = _command(run, data, wish, n, split)
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


def _subject(run: Run, task: Task, found: Dataset, ids: np.ndarray, n: int) -> Subject:
    """At most n images, chosen by hash, in the network's frame."""
    labelled = ids[found.index[ids] >= 0]
    ids = choose(labelled if len(labelled) else ids, n)
    kind = kind_of(run)
    images = kind.load(found, ids, run.preprocessing, run.recipe, truths=kind.truths, judging=True)
    batches = list(in_order(images, BATCH))
    pixels = torch.cat([batch.image for batch in batches]).contiguous()
    labels, keys = (torch.from_numpy(x.astype(np.int64)) for x in (found.index[ids], ids))
    names = tuple(found.records[int(i)].name for i in ids)
    device = next(task.parameters()).device
    scores = _class_scores(run, task, next(in_order(images, 1)).to(device))
    subject = Subject(scores, pixels.to(device), labels.to(device), keys.to(device), names, run.classes, BATCH)
    return subject if len(labelled) else subject.as_predicted()


def _class_scores(run: Run, task: Task, one: Batch) -> Scores:
    """Pixels → class scores (b, k). UsageError where an image has no single class."""
    kind = kind_of(run)
    asked = kind.sensitivity and kind.sensitivity.ask(task, one, Choice(), run.classes).subject
    if not asked or not asked.classes:
        raise UsageError(f"{run.folder} cannot be attacked: {kind.name} has no class scores", "attack a classifier")
    return asked.scores


def _command(run: Run, data: Any, wish: Wish, n: int, split: str) -> str:
    words = [
        "sightline attack",
        run.folder.name,
        *([str(data)] if isinstance(data, str | Path) else []),
        f"--method {wish.method}",
    ]
    words += wish.words()
    words += [f"--n {n}"] + ([f"--split {split}"] if split != "all" else [])
    return " ".join(words)
