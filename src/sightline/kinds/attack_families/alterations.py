"""Corruptions and controlled change: accuracy on images that were changed without asking the network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sightline.attacks.accuracy import Share, accuracy, change_accuracies, corruption_accuracies
from sightline.attacks.changes import CHANGES, change
from sightline.attacks.corruptions.catalogue import CORRUPTIONS, SEVERITIES, corrupt
from sightline.attacks.subject import Subject
from sightline.drawing.png import grid, png_bytes
from sightline.reports.attacks.curve import Place, curve_chart
from sightline.reports.attacks.page import AttackPage, PageTable, render_attack
from sightline.reports.parts.examples import ExampleView
from sightline.reports.parts.figures import Chart
from sightline.reports.parts.picture import KILOBYTE, page_picture
from sightline.reports.wording import percent, percent_range

from .wish import Outcome, Over, Wish, unused

SOURCE = "Hendrycks & Dietterich 2019, arXiv:1903.12261"
NOT_THE_BENCHMARK = (
    "These corruptions are sightline's own, on these images: the figures are not those of the benchmark of the paper. The ice "
    "of frost is synthetic; the benchmark overlays photographs."
)
GROUPS = ("noise", "blur", "weather", "digital")


def under_corruption(subject: Subject, wish: Wish, folder: Path, over: Over) -> Outcome:
    """Fifteen corruptions of five severities."""
    unused(wish)
    clean = accuracy(subject, subject.images.cpu())
    found = corruption_accuracies(subject, wish.seed, over)
    mean = float(np.mean([share.accuracy for shares in found.values() for share in shares]))
    worst = min(found, key=lambda name: np.mean([share.accuracy for share in found[name]]))
    words = (
        f"Accuracy is {percent(clean.accuracy, clean.n)} on clean images and {percent(mean, clean.n)} on average over "
        f"{len(found)} corruptions of five severities; {_in_words(worst)} costs most, "
        f"{percent(found[worst][-1].accuracy, clean.n)} remain at the highest severity."
    )
    facts = {
        "method": wish.method, "title": "Corruptions", "source": SOURCE, "seed": wish.seed, "n": len(subject),
        "clean": clean.to_json(), "mean_accuracy": mean, "verdict": words, "note": NOT_THE_BENCHMARK,
        "corruptions": {name: [share.to_json() for share in shares] for name, shares in found.items()},
    }  # fmt: skip
    first = subject.images[0].permute(1, 2, 0).cpu().numpy()  # (c, h, w) → (h, w, c)
    pictures = {
        name: [corrupt(first, name, s, seed=wish.seed, id=int(subject.ids[0])) for s in SEVERITIES] for name in found
    }

    def page(name: str, command: str) -> str:
        return render_attack(
            AttackPage(
                title="Corruptions",
                source=SOURCE,
                name=name,
                chips=[f"{len(subject):,} images", f"{len(found)} corruptions", "5 severities"],
                verdict=words,
                number=percent(mean, clean.n),
                under=f"mean accuracy under corruption; clean {percent(clean.accuracy, clean.n)} "
                f"({percent_range(*clean.interval, clean.n)})",
                command=command,
                charts=_group_charts(found, clean),
                curves_title="Accuracy by severity",
                examples=[_strip(pictures[name], subject.names[0], _in_words(name)) for name in pictures],
                examples_title="The corruptions",
                examples_intro="The first image at the severities 1 to 5.",
                tables=[_table(found, clean)],
                facts=[("seed", str(wish.seed))],
            )
        )

    strips = [picture for row in pictures.values() for picture in row]
    captions = [f"{_in_words(name)} {s}" for name in pictures for s in SEVERITIES]
    return Outcome(facts, page, png_bytes(grid(strips, columns=5, least=112, captions=captions)))


def under_change(subject: Subject, wish: Wish, folder: Path, over: Over) -> Outcome:
    """Rotation, scale, brightness, occlusion, JPEG and viewpoint, a curve each."""
    unused(wish)
    clean = accuracy(subject, subject.images.cpu())
    found = change_accuracies(subject, wish.seed, over)
    lows = {name: min((share.accuracy, s) for s, share in curve) for name, curve in found.items()}
    worst = min(lows, key=lambda name: lows[name])
    words = (
        f"Accuracy is {percent(clean.accuracy, clean.n)} on the images as they are. "
        f"{_in_words(worst).capitalize()} costs most: "
        f"{percent(lows[worst][0], clean.n)} at {lows[worst][1]:g} ({CHANGES[worst].unit})."
    )
    facts = {
        "method": wish.method, "title": "Controlled change", "source": "", "seed": wish.seed, "n": len(subject),
        "clean": clean.to_json(), "verdict": words,
        "changes": {name: [{"strength": s, **share.to_json()} for s, share in curve] for name, curve in found.items()},
    }  # fmt: skip
    charts = [
        curve_chart(
            [("", [_place(s, share) for s, share in curve])], _in_words(name).capitalize(), CHANGES[name].unit, caption
        )
        for name, curve in found.items()
        for caption in [f"{_in_words(name).capitalize()}: accuracy with 95 % Wilson intervals, n = {clean.n:,}."]
    ]
    first, key = subject.images[0].permute(1, 2, 0).cpu().numpy(), int(subject.ids[0])  # (c, h, w) → (h, w, c)
    pictures = {
        name: [change(first, name, s, seed=wish.seed, id=key) for s, _ in curve] for name, curve in found.items()
    }

    def page(name: str, command: str) -> str:
        return render_attack(
            AttackPage(
                title="Controlled change",
                source="",
                name=name,
                chips=[f"{len(subject):,} images", f"{len(found)} changes"],
                verdict=words,
                number=percent(lows[worst][0], clean.n),
                under=f"accuracy at the worst point of all curves; unchanged {percent(clean.accuracy, clean.n)} "
                f"({percent_range(*clean.interval, clean.n)})",
                command=command,
                charts=[chart for chart in charts if chart is not None],
                curves_title="Accuracy by strength",
                examples=[
                    _strip(pictures[name], subject.names[0], f"{_in_words(name)}: {_strengths(name)}")
                    for name in pictures
                ],
                examples_title="The changes",
                examples_intro="The first image at every strength.",
                facts=[("seed", str(wish.seed))],
            )
        )

    strips = [picture for row in pictures.values() for picture in row]
    captions = [f"{_in_words(name)} {s:g}" for name, curve in found.items() for s, _ in curve]
    return Outcome(facts, page, png_bytes(grid(strips, columns=7, least=112, captions=captions)))


def _in_words(name: str) -> str:
    return name.replace("_", " ").replace("jpeg", "JPEG")


def _strengths(name: str) -> str:
    return ", ".join(f"{s:g}" for s in CHANGES[name].strengths)


def _place(x: float, share: Share) -> Place:
    return Place(x, share.accuracy, *share.interval, share.n, None)


def _group_charts(found: dict[str, list[Share]], clean: Share) -> list[Chart]:
    """A chart for each group, with the clean accuracy at severity 0."""
    charts = []
    for group in GROUPS:
        named = [
            (_in_words(name), [_place(s, share) for s, share in zip((0, *SEVERITIES), [clean, *shares], strict=True)])
            for name, shares in found.items()
            if CORRUPTIONS[name].group == group
        ]
        caption = f"{group.capitalize()}: accuracy with 95 % Wilson intervals; severity 0 is the clean accuracy."
        charts.append(curve_chart(named, group.capitalize(), "severity", caption))
    return [chart for chart in charts if chart is not None]


def _table(found: dict[str, list[Share]], clean: Share) -> PageTable:
    heads = ("corruption", *(f"severity {s}" for s in SEVERITIES), "mean", "95 % interval at 5")
    rows = [
        (
            _in_words(name), *(percent(share.accuracy, share.n) for share in shares),
            percent(float(np.mean([share.accuracy for share in shares])), clean.n),
            percent_range(*shares[-1].interval, clean.n),
        )
        for name, shares in found.items()
    ]  # fmt: skip
    return PageTable("Accuracy by corruption", heads, rows, NOT_THE_BENCHMARK)


def _strip(pictures: Sequence[Any], name: str, note: str) -> ExampleView:
    """One image at all strengths, side by side."""
    png = png_bytes(grid(list(pictures), columns=len(pictures), gap=3, least=96, most=200))
    shown = page_picture(png, most=1400, limit=90 * KILOBYTE)
    return ExampleView(shown.image, shown.width, shown.height, name, note)
