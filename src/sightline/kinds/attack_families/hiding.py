"""Patches that hide objects: one square picture that lies on every object, so that the detector does not find it any more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.attacks.aim import Aim
from sightline.attacks.draws import flat
from sightline.attacks.figure import Figure
from sightline.attacks.pictures.patch import (
    EXACT,
    Patch,
    Spread,
    climbed,
    noise_patch,
    on_objects,
    pasted_on_objects,
)
from sightline.attacks.scores import Counted
from sightline.errors import DataError, UsageError
from sightline.reports.attacks.curve import Place, curve_chart
from sightline.reports.attacks.page import AttackPage, PageTable, render_attack
from sightline.reports.attacks.sheet import Pair, sheet, views
from sightline.reports.wording import percent, percent_range
from sightline.storage.files import make_folder
from sightline.structures.batch import Batch
from sightline.structures.targets import Boxes

from .measured import Measured, shared, stacked
from .pictures import saved
from .request import Outcome, Over, Request, unused

SOURCE = "Thys et al. 2019, arXiv:1904.08653"
SHARES = (0.25, 0.5)  # of the side of a square as large as the box
STEPS, EXAMPLES = 100, 6
LEAST = 8  # pixels of the patch's side
HEADS = ("patch", "found", "95 % interval", "with noise of that size")


def by_hiding(subject: Measured, request: Request, folder: Path, over: Over) -> Outcome:
    """One patch for each size, made on half of the images, measured on the objects of the others beside a patch of noise."""
    unused(request, eps="", steps="", region="", object="")
    if subject.exposure.hides is None:
        raise UsageError(f"a patch hides objects, and {subject.kind.name} has none", "use --method pgd")
    shares, steps, aim, counter = (
        request.eps or SHARES,
        request.steps or STEPS,
        request.aim,
        Counted(lambda pixels: pixels),
    )
    if shares[-1] > 1:
        raise UsageError(
            f"--eps {shares[-1]:g} is more than an object's side", "use a share from 0 to 1, such as --eps 0.5"
        )
    batches = [subject.exposure.focus(subject.task, batch, aim) for batch in subject.batches]
    half = len(batches) // 2
    if not half:
        raise DataError("a patch needs some images for training and others for evaluation", "raise --n")
    training, held = batches[:half], batches[half:]
    curves: dict[str, list[tuple[float, Figure]]] = {"patch": [], "noise": []}
    clean = _found(subject, held, [batch.image for batch in held], aim)
    for (share,) in over([(share,) for share in shares]):
        patch = _made(subject, training, share, steps, request.seed, aim, counter)
        patch = saved(folder / f"patch-{share:g}.png", patch.to(torch.uint8)).float()
        own = noise_patch(len(patch), patch.shape[1], request.seed + 1).to(patch)
        for name, one in (("patch", patch), ("noise", own)):
            place = folder / f"{name}-{share:g}"
            images = [_applied(subject, batch, one, share, request.seed, place) for batch in held]
            curves[name].append((share, _found(subject, held, images, aim)))
            if name == "patch":
                shown = images
    (share, last), (_, control) = curves["patch"][-1], curves["noise"][-1]
    words = (
        f"With a patch of {share:.0%} of an object's side {percent(last.value)}{_span(last)} of {last.n:,} held-out objects "
        f"are found, with noise of that size {percent(control.value)}, without {percent(clean.value)}."
    )
    facts: dict[str, Any] = {
        "method": request.method, "title": "Patch that hides objects", "source": SOURCE, "steps": steps, "seed": request.seed,
        "n": sum(map(len, held)), "trained_on": sum(map(len, training)), "metric": "objects found", "verdict": words,
        "region": None if request.region is None else subject.classes[request.region], "clean": clean.to_json(),
        "forwards": counter.forwards, "backwards": counter.backwards,
        "patches": [{"side": s, **one.to_json(), "noise": other.to_json()}
                    for (s, one), (_, other) in zip(curves["patch"], curves["noise"], strict=True)],
    }  # fmt: skip
    pairs = _pairs(subject, held, shown, aim)
    page = _page(subject, facts, curves, clean, pairs)
    return Outcome(facts, page, sheet(pairs))


def _objects(batch: Batch, subject: Measured) -> Boxes:
    hides = subject.exposure.hides
    assert hides is not None
    true = hides(batch)
    return true.take(~true.ignore)


def _keys(batch: Batch, true: Boxes) -> Tensor:
    """What keys the draws of each object: its image and its number in the image."""
    number = torch.arange(len(true.sample), device=true.sample.device)
    return batch.id[true.sample] * 4096 + number % 4096


def _made(
    subject: Measured, batches: Sequence[Batch], share: float, steps: int, seed: int, aim: Aim, counter: Counted
) -> Patch:
    """The patch that raises the loss of the objects it lies on, a keyed batch each step."""
    boxes = torch.cat([_objects(batch, subject).boxes for batch in batches])
    if not len(boxes):
        raise DataError("there is no object in these images", "choose other images")
    typical = float((boxes[:, 2:] - boxes[:, :2]).clamp(min=1).prod(1).sqrt().median())
    start = noise_patch(batches[0].image.shape[1], max(LEAST, round(share * typical)), seed).to(boxes.device)

    def value(patch: Patch, turn: int) -> Tensor:
        draw = flat((1,), seed, "patch batch", torch.tensor([turn]))[0]
        batch = batches[int(draw * len(batches))]
        true = _objects(batch, subject)
        place = on_objects(true.boxes, share, Spread(), tuple(batch.image.shape), seed, _keys(batch, true), turn)
        images = pasted_on_objects(batch.image.float(), patch, place, true.sample)
        counter.forwards += len(batch)
        counter.backwards += len(batch)
        return subject.exposure.harm(subject.task, batch, aim)(images).mean() + 0 * patch.sum()

    return climbed(value, start, steps=steps)


def _applied(subject: Measured, batch: Batch, patch: Patch, share: float, seed: int, folder: Path) -> Tensor:
    """The images of a batch with the patch on every object, as they are read back."""
    make_folder(folder)
    true = _objects(batch, subject)
    place = on_objects(true.boxes, share, EXACT, tuple(batch.image.shape), seed, _keys(batch, true))
    images = pasted_on_objects(batch.image.float(), patch, place, true.sample).round().to(torch.uint8)
    return stacked([saved(folder / f"{int(i):06d}.png", one) for i, one in zip(batch.id, images, strict=True)])


def _found(subject: Measured, batches: Sequence[Batch], images: Sequence[Tensor], aim: Aim) -> Figure:
    hits, of = [], []
    for batch, image in zip(batches, images, strict=True):
        counts = subject.exposure.count(subject.answered(batch.with_pixels(image=image))[0], aim, subject.score)
        hits.append(counts[0])
        of.append(counts[1])
    return shared("objects found", np.concatenate(hits), np.concatenate(of))


def _pairs(subject: Measured, batches: Sequence[Batch], images: Sequence[Tensor], aim: Aim) -> list[Pair]:
    pairs: list[Pair] = []
    for batch, image in zip(batches, images, strict=True):
        if len(pairs) >= EXAMPLES:
            break
        pairs += subject.compared(batch, image, aim)
    return pairs[:EXAMPLES]


def _span(figure: Figure) -> str:
    return f" ({percent_range(*figure.interval)})" if figure.interval is not None else ""


def _place(x: float, figure: Figure) -> Place:
    return Place(x, figure.value, *(figure.interval or (figure.value, figure.value)), figure.n, None)


def _page(
    subject: Measured,
    facts: dict[str, Any],
    curves: dict[str, list[tuple[float, Figure]]],
    clean: Figure,
    pairs: list[Pair],
) -> Any:
    share, last = curves["patch"][-1]
    lines = [(name, [_place(0.0, clean), *(_place(s, f) for s, f in points)]) for name, points in curves.items()]
    caption = "Share of the objects of held-out images that are found (IoU 0.5), with 95 % intervals over images."
    chart = curve_chart(
        lines, "Objects found by size", "side of the patch, share of the object's", caption, "objects found"
    )
    rows = [
        (f"{s:.0%} of the side", percent(one.value), _span(one).strip(" ()") or "–", percent(other.value))
        for (s, one), (_, other) in zip(curves["patch"], curves["noise"], strict=True)
    ]

    def page(name: str, command: str) -> str:
        return render_attack(
            AttackPage(
                title=facts["title"], source=SOURCE, name=name, verdict=facts["verdict"], command=command,
                chips=[f"{facts['n']:,} held-out images", f"trained on {facts['trained_on']:,}", f"{facts['steps']:,} steps"],
                number=percent(last.value), under=f"of {last.n:,} held-out objects are found with a patch of {share:.0%} of "
                f"their side; without, {percent(clean.value)}",
                charts=[chart] if chart is not None else [], curves_title="Objects found over the size",
                examples=views(pairs), examples_intro="From left to right: the answer on the image, the answer on the image "
                "with the patches, the difference of the two images.",
                tables=[PageTable("Objects found by size", HEADS, rows)],
                facts=[("seed", str(facts["seed"]))],
            )
        )  # fmt: skip

    return page
