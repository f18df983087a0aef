"""Rules about networks that make images: did they collapse, did a gradient vanish, were training images repeated?"""

from __future__ import annotations

import statistics

from sightline.reports.finding import Finding, Try, VerdictFacts
from sightline.reports.thresholds import Thresholds
from sightline.reports.wording import decimal, percent

COLLAPSE = "Mode collapse"
VANISHING = "The generator's gradient has vanished"
MEMORISED = "It repeats training images"
REGIONS, RECALL = 0.6, 0.1  # below these shares of regions reached, or of real images covered
LEFT = 0.02  # of the largest gradient norm of the generator
AHEAD = 5.0  # logits by which the critic tells real from made where it has won
REPEATED = 0.05  # share of made images that repeat a training image: almost none by chance
NEAR = 3.0  # times the distance between two halves of the real images
FEW = 200  # images below which distances and shares mean little
ROWS = 4  # validations needed to speak of a course


def result(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """How near are the made images to real ones, between the floor of real against real and the ceiling of noise?"""
    value, floor, noise = (facts.metric(facts.split, name) for name in ("frechet", "frechet_floor", "frechet_noise"))
    if value is None or floor is None or noise is None or facts.n < FEW:
        return None
    between = f"real to real {decimal(floor)}, noise {decimal(noise)}"
    evidence = f"Fréchet distance {decimal(value)} of {facts.n:,} images; {between}."
    precision, recall = (facts.metric(facts.split, name) for name in ("precision", "recall"))
    if precision is not None and recall is not None:
        evidence += f" Precision {percent(precision)}, recall {percent(recall)}."
    if value <= NEAR * floor:
        text = "By these features the made images are about as near to real ones as real ones are to each other."
        return Finding("good", "result", "The images are like the data", text, evidence)
    if value >= noise:
        text = "Noise is as near to the real images as what the generator makes."
        return Finding("serious", "result", "The images are not like the data", text, evidence)
    text = "The made images can be told from real ones by these features, but are nearer to them than noise is."
    return Finding("note", "result", "The images are between noise and the data", text, evidence)


def collapse(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """Does the generator make only some kinds of images?"""
    reached, recall = facts.metric(facts.split, "regions"), facts.metric(facts.split, "recall")
    if reached is None or facts.n < FEW or (reached >= REGIONS and (recall is None or recall >= RECALL)):
        return None
    evidence = f"{percent(reached)} of the regions of the real images are reached"
    evidence += f"; {percent(recall)} of the real images lie near a made one." if recall is not None else "."
    text = "The generator makes few kinds of images, whatever its noise: the critic sees one image at a time."
    tries = (Try("Limit the slope of the critic.", facts.command_with("task.loss=wasserstein")),)
    if facts.setting("task.loss") == "wasserstein":
        tries = (
            Try("Lower the learning rate.", facts.command_with(f"optim.lr={(facts.number('optim.lr') or 2e-4) / 2:g}")),
        )
    return Finding("serious", "bias", COLLAPSE, text, evidence, tries, limit="mode collapse")


def vanishing(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """Is little left of the generator's gradient, while the critic is right about everything?"""
    norms = [v for row in facts.history if (v := row.get("train_generator_gradient")) is not None]
    gaps = [
        real - made
        for row in facts.history
        if (real := row.get("val_score_real")) is not None and (made := row.get("val_score_made")) is not None
    ]
    if len(norms) < ROWS or not gaps or gaps[-1] < AHEAD:
        return None
    last, most = statistics.median(norms[-max(len(norms) // 4, 1) :]), max(norms)
    if last > LEFT * most:
        return None
    evidence = (
        f"Gradient norm of the generator: {decimal(most)} at its largest, {decimal(last)} at the end; the critic scores real "
        f"images {decimal(gaps[-1])} logits above made ones."
    )
    text = "The critic has won, and the generator hardly learns any more."
    change = "task.loss=non_saturating" if facts.setting("task.loss") == "saturating" else "task.lipschitz=spectral"
    return Finding("serious", "layers", VANISHING, text, evidence, (Try("Change the game.", facts.command_with(change)),),
        limit="a vanishing gradient")  # fmt: skip


def memorisation(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """Are made images nearer to training images than other real images are?"""
    share = facts.metric(facts.split, "memorised")
    if share is None or share < REPEATED:
        return None
    evidence = f"{percent(share)} of the made images lie at one training image, nearer than 99 % of held-out images do."
    text = "It makes images of its training set again, or nearly."
    tries = (Try("Train on more images, or for fewer epochs."),)
    return Finding("serious", "variance", MEMORISED, text, evidence, tries, limit="memorisation")


def opening(facts: VerdictFacts) -> str:
    """The first sentence of the verdict."""
    value, floor = facts.metric(facts.split, "frechet"), facts.metric(facts.split, "frechet_floor")
    if value is None:
        return "Training finished. The images that it makes have not been compared with real ones."
    against = f"; two halves of the real images have {decimal(floor)}" if floor is not None else ""
    return f"Its images have a Fréchet distance of {decimal(value)} from {facts.n:,} {facts.split} images{against}."
