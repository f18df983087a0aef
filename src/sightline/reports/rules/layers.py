"""Rules about layers while they trained: dead units, updates that are too small, batch norms that lag behind.

They explain a poor fit, so they speak only where the training images are not fitted. What a healthy layer looks like is
known as rules of thumb, not as theorems: an update-to-weight ratio of about 1e-3 (Karpathy 2015, CS231n, "Babysitting the
learning process"), few units that are never active (He et al. 2015, arXiv:1502.01852, for why a good initialisation prevents
them).
"""

from __future__ import annotations

from sightline.reports.diagnosis.health import Health
from sightline.reports.finding import Finding, Try, VerdictFacts, chance
from sightline.reports.thresholds import Thresholds
from sightline.reports.wording import decimal, percent, points, quote

from .learning import scale_setting

DEAD = "Many units are dead"
SLOW = "The learning rate is too low"
LAGGING = "Batch norm's running statistics are not those of its batches"


def dead_units(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """A layer most of whose inputs are zero for every image, in a network that does not fit its training images."""
    health, train = facts.health, facts.main("train")
    if health is None or health.deadest is None or train is None or train >= limits.train_poor:
        return None
    name, share = health.deadest
    if share < limits.dead:
        return None
    slower = scale_setting(facts, "optim.lr", 0.1)
    tries = (
        [Try("Lower the learning rate: large steps shut ReLUs for good.", facts.command_with(slower))] if slower else []
    )
    tries.append(
        Try("Or use a network with batch norm or leaky activations; this command lists networks.", "sightline models")
    )
    text = (
        f"{percent(share, 100)} of the inputs of {quote(name)} were 0 for all sampled images: such units pass no signal and "
        "no gradient."
    )
    return Finding("serious", "layers", DEAD, text, try_next=tuple(tries), limit="dead units")


def slow(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """Updates that are small beside the weights, in a network that does not fit its training images."""
    health, train, rate = facts.health, facts.main("train"), facts.number("optim.lr")
    if health is None or health.ratio is None or train is None or train >= limits.train_poor or not rate:
        return None
    if health.ratio >= limits.slow:
        return None
    factor = min(100.0, 10.0 ** round(max(1.0, -_log10(health.ratio) - 3)))
    faster = scale_setting(facts, "optim.lr", factor)
    text = (
        f"A step changed the weights by {decimal(health.ratio, 2)} of their size, where about 0.001 is usual: "
        "training is too slow to fit the data."
    )
    tries = (Try("Raise the learning rate.", facts.command_with(faster)),)
    return Finding("serious", "layers", SLOW, text, try_next=tries, limit="a learning rate that is too low")


def lagging_norms(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    """Training images that are answered differently with the statistics of their batch."""
    gap = facts.health.norms if isinstance(facts.health, Health) else None
    if gap is None or not facts.headline.of_images:
        return None
    difference = gap.batch - gap.running
    if difference <= max(limits.gap, chance(gap.batch, gap.n, gap.running, gap.n, limits.z)):
        return None
    text = (
        f"On {gap.n:,} training images it is {points(difference)} better with batch statistics than with the running "
        "statistics, which are used for prediction."
    )
    figures = [facts.headline.figure(value, gap.n) for value in (gap.running, gap.batch)]
    evidence = f"{facts.headline.title}: {figures[0]} and {figures[1]}."
    longer = scale_setting(facts, "fit.epochs", 2)
    larger = scale_setting(facts, "fit.batch", 2)
    tries = [Try("Train longer: running means need a few hundred steps.", facts.command_with(longer))] if longer else []
    tries += [Try("Or use larger batches.", facts.command_with(larger))] if larger else []
    return Finding(
        "warning", "layers", LAGGING, text, evidence, tuple(tries), limit="the running statistics of batch norm"
    )


def _log10(value: float) -> float:
    from math import log10

    return log10(value) if value > 0 else -6.0
