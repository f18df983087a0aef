"""Patches and fooling noise: pictures that are made to be classified as something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from sightline.attacks.pictures.fooling import fool, noise
from sightline.attacks.pictures.patch import EXACT, noise_patch, pasted, placements, train_patch
from sightline.attacks.robustness import Answers
from sightline.attacks.scores import Counted
from sightline.attacks.share import Z
from sightline.attacks.subject import Subject
from sightline.drawing.png import grid, png_bytes
from sightline.errors import DataError, UsageError
from sightline.metrics.proportions import wilson
from sightline.preprocessing.decoder import decode
from sightline.reports.attacks.curve import Place, curve_chart
from sightline.reports.attacks.page import AttackPage, PageTable, render_attack
from sightline.reports.attacks.sheet import Pair, sheet, views
from sightline.reports.wording import percent, percent_range
from sightline.storage.files import replace_file

from .request import Outcome, Over, Request, unused

SHARES = (0.15, 0.25, 0.35)  # of the image's shorter side
PATCH_STEPS, NOISE_STEPS = 300, 200
SURE = 0.99
EXAMPLES = 12
MOST_CLASSES = 100


def saved(path: Path, image: UInt8[Tensor, "c h w"]) -> UInt8[Tensor, "c h w"]:
    """Write a PNG and read it back with the reader of all images."""
    replace_file(path, png_bytes(image.permute(1, 2, 0).cpu().numpy()))  # (c, h, w) → (h, w, c)
    pixels = torch.from_numpy(decode(path, channels=len(image)).pixels.copy())
    return pixels.permute(2, 0, 1).to(image.device)  # (h, w, c) → (c, h, w)


def by_patch(subject: Subject, request: Request, folder: Path, over: Over) -> Outcome:
    """One patch for each size, trained on half of the images, measured on the others beside a patch of noise."""
    unused(request, eps="", steps="", target="")
    if request.target is None:
        raise UsageError("a patch needs a class to reach", f"add --target, such as --target {subject.classes[0]}")
    shares = request.eps or SHARES
    if shares[-1] > 1:
        raise UsageError(f"--eps {shares[-1]:g} is no share of the image's side", "use for example --eps 0.25")
    if len(subject) < 4:
        raise DataError(
            f"a patch needs images to train on and others to measure, and there are {len(subject)}", "raise --n"
        )
    half = len(subject) // 2
    target, steps, counted = request.target, request.steps or PATCH_STEPS, Counted(subject.scores)
    held = (subject.labels[half:] != target).nonzero()[:, 0] + half  # images of the class itself prove nothing
    if not len(held):
        raise DataError(
            f"every image to measure the patch on is of its target {subject.classes[target]}",
            "raise --n, or use another --target",
        )
    x, ids = subject.images[held].float(), subject.ids[held]
    curve: list[tuple[float, int, int]] = []
    control: list[tuple[float, int, int]] = []
    made: list[Tensor] = []
    for share in over([[s] for s in shares]):
        patch = train_patch(
            counted, subject.images[:half].float(), target=target, share=share[0], steps=steps, seed=request.seed
        )
        patch = saved(folder / f"patch-{share[0]:g}.png", patch.to(torch.uint8)).float()
        made.append(patch)
        place = placements(share[0], EXACT, tuple(x.shape[2:]), request.seed, "patch judging", ids).to(x)
        for found, own in ((curve, patch), (control, noise_patch(len(patch), patch.shape[1], request.seed + 1))):
            images = pasted(x, own.to(x), place).round().to(torch.uint8)
            reached = Answers.of(counted, images, subject.batch).index == target
            found.append((share[0], int(reached.sum()), len(reached)))
    name, (share, hits, n) = subject.classes[target], curve[-1]
    other = control[-1][1] / n
    words = (
        f"A patch of {share:.0%} of the side makes {percent(hits / n, n)} of {n:,} held-out images {name} "
        f"({percent_range(*wilson(hits / n, n, Z), n)}); a patch of noise of the same size, {percent(other, n)}."
    )
    facts: dict[str, Any] = {
        "method": request.method, "title": "Adversarial patch", "source": "Brown et al. 2017, arXiv:1712.09665", "target": name,
        "steps": steps, "seed": request.seed, "n": n, "trained_on": half, "verdict": words, "forwards": counted.forwards,
        "backwards": counted.backwards,
        "patches": [_patch_facts(*one, *two[1:]) for one, two in zip(curve, control, strict=True)],
    }  # fmt: skip
    pairs = _patched(subject, held, made[-1], share, request.seed)
    places = [
        (label, [Place(s, h / m, *wilson(h / m, m, Z), m, None) for s, h, m in points])
        for label, points in (("patch", curve), ("noise", control))
    ]
    caption = "Share of held-out images of other classes that become the target, with 95 % Wilson intervals."
    chart = curve_chart(places, "Success by size", "side of the patch, share of the image's", caption)

    def page(run: str, command: str) -> str:
        return render_attack(
            AttackPage(
                title="Adversarial patch", source=str(facts["source"]), name=run, verdict=words,
                command=f"{command} --target {name}",
                chips=[f"{n:,} held-out images", f"trained on {half:,}", f"{steps:,} steps"],
                number=percent(hits / n, n), 
                under=f"of held-out images become {name} with a patch of {share:.0%} of the side",
                charts=[chart] if chart is not None else [], curves_title="Success over the size",
                examples=views(pairs), tables=[_patch_table(curve, control)], facts=[("seed", str(request.seed))],
            )
        )  # fmt: skip

    return Outcome(facts, page, sheet(pairs))


def _patch_facts(share: float, hits: int, n: int, by_noise: int, _: int) -> dict[str, Any]:
    rate = hits / n
    return {
        "side": share,
        "n": n,
        "reached": hits,
        "share": rate,
        "interval": list(wilson(rate, n, Z)),
        "noise": by_noise / n,
    }


def _patch_table(curve: list[tuple[float, int, int]], control: list[tuple[float, int, int]]) -> PageTable:
    rows = [
        (f"{s:.0%} of the side", percent(h / n, n), percent_range(*wilson(h / n, n, Z), n), percent(other / n, n))
        for (s, h, n), (_, other, _) in zip(curve, control, strict=True)
    ]
    return PageTable("Success by size", ("patch", "success", "95 % interval", "noise of that size"), rows)


def _patched(subject: Subject, held: Tensor, patch: Tensor, share: float, seed: int) -> list[Pair]:
    rows = held[:EXAMPLES]
    x = subject.images[rows].float()
    place = placements(share, EXACT, tuple(x.shape[2:]), seed, "patch judging", subject.ids[rows]).to(x)
    changed = pasted(x, patch, place).round().to(torch.uint8)
    before, after = (Answers.of(subject.scores, images, subject.batch) for images in (subject.images[rows], changed))
    return [
        Pair(_picture(subject.images[r]), _picture(changed[i]), _words(subject, before, i), _words(subject, after, i),
             subject.names[int(r)])
        for i, r in enumerate(rows.tolist())
    ]  # fmt: skip


def by_noise(subject: Subject, request: Request, folder: Path, over: Over) -> Outcome:
    """A picture of noise for each class, or for the target."""
    unused(request, steps="", target="")
    names = subject.classes if request.target is None else (subject.classes[request.target],)
    classes = torch.tensor([subject.classes.index(name) for name in names[:MOST_CLASSES]], device=subject.images.device)
    counted, steps = Counted(subject.scores), request.steps or NOISE_STEPS
    start = noise(tuple(subject.images.shape[1:]), classes, request.seed)
    parts = over([part for part in torch.arange(len(classes)).split(subject.batch)])
    made = torch.cat([fool(counted, start[rows], classes[rows], steps=steps) for rows in parts])
    whole = torch.stack(
        [
            saved(folder / f"{int(c):04d}.png", image)
            for c, image in zip(classes, made.round().to(torch.uint8), strict=True)
        ]
    )
    first, final = (Answers.of(counted, images, subject.batch) for images in (start.to(torch.uint8), whole))
    reached = (final.index == classes) & (final.probability >= SURE)
    share, n = float(reached.float().mean()), len(classes)
    words = (
        f"Noise is classified with at least {SURE:.0%} confidence for {int(reached.sum())} of {n} classes, judged on the saved "
        "pictures. The network answers everything, also what it has never seen."
    )
    facts: dict[str, Any] = {
        "method": request.method, "title": "Fooling noise", "source": "after Nguyen et al. 2015, arXiv:1412.1897",
        "steps": steps, "seed": request.seed, "n": n, "sure": SURE, "reached": int(reached.sum()), "verdict": words,
        "forwards": counted.forwards, "backwards": counted.backwards,
        "pictures": [
            {"class": subject.classes[int(c)], "predicted": subject.classes[int(i)], "confidence": float(p)}
            for c, i, p in zip(classes, final.index, final.probability, strict=True)
        ],
    }  # fmt: skip
    pairs = [
        Pair(_picture(start[i].to(torch.uint8)), _picture(whole[i]), _words(subject, first, i), _words(subject, final, i),
             f"noise towards {subject.classes[int(classes[i])]}")
        for i in range(min(n, EXAMPLES))
    ]  # fmt: skip

    def page(run: str, command: str) -> str:
        return render_attack(
            AttackPage(
                title="Fooling noise", source=str(facts["source"]), name=run, verdict=words, command=command,
                chips=[f"{n:,} classes", f"at most {steps:,} steps"], number=percent(share, n),
                under=f"of the classes are reached with at least {SURE:.0%} confidence",
                examples=views(pairs), examples_intro="From left to right: noise, the picture made of it, the difference.",
                facts=[("seed", str(request.seed))],
            )
        )  # fmt: skip

    captions = [
        f"{subject.classes[int(i)]} {float(p):.0%}" for i, p in zip(final.index, final.probability, strict=True)
    ]
    return Outcome(facts, page, png_bytes(grid([_picture(p) for p in whole], columns=10, captions=captions)))


def _picture(image: UInt8[Tensor, "c h w"]) -> np.ndarray:
    return image.permute(1, 2, 0).cpu().numpy()  # (c, h, w) → (h, w, c)


def _words(subject: Subject, answers: Answers, row: int) -> str:
    return f"{subject.classes[int(answers.index[row])]} ({percent(float(answers.probability[row]), 10)})"
