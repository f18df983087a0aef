"""Corruptions and controlled change: the metric on images that were changed without asking the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from sightline.attacks.accuracy import Alter, accuracy, altered, change_curves, corruption_curves
from sightline.attacks.changes import CHANGES, change
from sightline.attacks.corruptions.catalogue import CORRUPTIONS, SEVERITIES, corrupt
from sightline.attacks.figure import Measure
from sightline.attacks.subject import Subject
from sightline.drawing.png import grid, png_bytes
from sightline.reports.attacks.curve import Place, curve_chart
from sightline.reports.attacks.page import AttackPage, PageTable, render_attack
from sightline.reports.parts.examples import ExampleView
from sightline.reports.parts.figures import Chart
from sightline.reports.parts.picture import KILOBYTE, page_picture
from sightline.reports.wording import percent, percent_range

from .measured import Measured, picture
from .request import Outcome, Over, Request, unused

SOURCE = "Hendrycks & Dietterich 2019, arXiv:1903.12261"
NOT_THE_BENCHMARK = (
    "These corruptions are sightline's own, on these images: the figures are not those of the benchmark of the paper. The ice "
    "of frost is synthetic; the benchmark overlays photographs."
)
Image = UInt8[np.ndarray, "h w c"]
GROUPS = ("noise", "blur", "weather", "digital")


def under_corruption(subject: Subject | Measured, request: Request, folder: Path, over: Over) -> Outcome:
    """Fifteen corruptions of five severities."""
    unused(request)
    measure = _measure(subject)
    clean = measure(_unchanged)
    found = corruption_curves(measure, request.seed, over)
    mean = float(np.mean([share.value for shares in found.values() for share in shares]))
    worst = min(found, key=lambda name: np.mean([share.value for share in found[name]]))
    words = (
        f"{_title(clean)} is {percent(clean.value, clean.n)} on clean images and {percent(mean, clean.n)} on average over "
        f"{len(found)} corruptions of five severities; {_in_words(worst)} costs most, "
        f"{percent(found[worst][-1].value, clean.n)} remain at the highest severity."
    )
    mean_key = "mean_accuracy" if isinstance(subject, Subject) else "mean"
    facts = {
        "method": request.method, "title": "Corruptions", "source": SOURCE, "seed": request.seed, "n": len(subject),
        "clean": clean.to_json(), "metric": clean.name, mean_key: mean, "verdict": words,
        "note": NOT_THE_BENCHMARK,
        "corruptions": {name: [share.to_json() for share in shares] for name, shares in found.items()},
    }  # fmt: skip
    first, key, file = _example(subject)
    pictures = {name: [corrupt(first, name, s, seed=request.seed, id=key) for s in SEVERITIES] for name in found}

    def page(name: str, command: str) -> str:
        return render_attack(
            AttackPage(
                title="Corruptions",
                source=SOURCE,
                name=name,
                chips=[f"{len(subject):,} images", f"{len(found)} corruptions", "5 severities"],
                verdict=words,
                number=percent(mean, clean.n),
                under=f"mean {clean.name} under corruption; clean {percent(clean.value, clean.n)}{_span(clean)}",
                command=command,
                charts=_group_charts(found, clean),
                curves_title=f"{_title(clean)} by severity",
                examples=[_strip(pictures[name], file, _in_words(name)) for name in pictures],
                examples_title="The corruptions",
                examples_intro="The first image at the severities 1 to 5.",
                tables=[_table(found, clean)],
                facts=[("seed", str(request.seed))],
            )
        )

    strips = [picture for row in pictures.values() for picture in row]
    captions = [f"{_in_words(name)} {s}" for name in pictures for s in SEVERITIES]
    return Outcome(facts, page, png_bytes(grid(strips, columns=5, least=112, captions=captions)))


def under_change(subject: Subject | Measured, request: Request, folder: Path, over: Over) -> Outcome:
    """Rotation, scale, brightness, occlusion, JPEG and viewpoint, a curve each."""
    unused(request)
    measure, names = _measure(subject), tuple(CHANGES) if isinstance(subject, Subject) else subject.changes
    clean = measure(_unchanged)
    found = change_curves(measure, request.seed, over, names)
    lows = {name: min((share.value, s) for s, share in curve) for name, curve in found.items()}
    worst = min(lows, key=lambda name: lows[name])
    words = (
        f"{_title(clean)} is {percent(clean.value, clean.n)} on the images as they are. "
        f"{_in_words(worst).capitalize()} costs most: "
        f"{percent(lows[worst][0], clean.n)} at {lows[worst][1]:g} ({CHANGES[worst].unit})."
    )
    facts = {
        "method": request.method, "title": "Controlled change", "source": "", "seed": request.seed, "n": len(subject),
        "metric": clean.name, "clean": clean.to_json(), "verdict": words,
        "changes": {name: [{"strength": s, **share.to_json()} for s, share in curve] for name, curve in found.items()},
    }  # fmt: skip
    charts = [
        curve_chart(
            [("", [_place(s, share) for s, share in curve])],
            _in_words(name).capitalize(),
            CHANGES[name].unit,
            caption,
            clean.name,
        )
        for name, curve in found.items()
        for caption in [f"{_in_words(name).capitalize()}: {clean.name} with 95 % intervals, n = {clean.n:,}."]
    ]
    first, key, file = _example(subject)
    pictures = {
        name: [change(first, name, s, seed=request.seed, id=key) for s, _ in curve] for name, curve in found.items()
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
                under=f"{clean.name} at the worst point of all curves; unchanged {percent(clean.value, clean.n)}{_span(clean)}",
                command=command,
                charts=[chart for chart in charts if chart is not None],
                curves_title=f"{_title(clean)} by strength",
                examples=[_strip(pictures[name], file, f"{_in_words(name)}: {_strengths(name)}") for name in pictures],
                examples_title="The changes",
                examples_intro="The first image at every strength.",
                facts=[("seed", str(request.seed))],
            )
        )

    strips = [picture for row in pictures.values() for picture in row]
    captions = [f"{_in_words(name)} {s:g}" for name, curve in found.items() for s, _ in curve]
    return Outcome(facts, page, png_bytes(grid(strips, columns=7, least=112, captions=captions)))


def _in_words(name: str) -> str:
    return name.replace("_", " ").replace("jpeg", "JPEG")


def _strengths(name: str) -> str:
    return ", ".join(f"{s:g}" for s in CHANGES[name].strengths)


def _place(x: float, share: Measure) -> Place:
    return Place(x, share.value, *(share.interval or (share.value, share.value)), share.n, None)


def _span(share: Measure) -> str:
    return f" ({percent_range(*share.interval, share.n)})" if share.interval is not None else ""


def _title(share: Measure) -> str:
    return share.name[:1].upper() + share.name[1:]


def _unchanged(image: Image, id: int) -> Image:
    return image


def _measure(subject: Subject | Measured) -> Callable[[Alter], Measure]:
    """The metric of the images after a change."""
    if isinstance(subject, Measured):
        return subject.under
    return lambda alter: accuracy(subject, altered(subject.images, subject.ids, alter))


def _example(subject: Subject | Measured) -> tuple[Image, int, str]:
    """The first image (h, w, c), its id and its name."""
    if isinstance(subject, Measured):
        id = int(subject.batches[0].id[0])
        return picture(subject.batches[0], 0), id, subject.names[id]
    return (
        subject.images[0].permute(1, 2, 0).cpu().numpy(),
        int(subject.ids[0]),
        subject.names[0],
    )  # (c, h, w) → (h, w, c)


def _group_charts(found: dict[str, list[Measure]], clean: Measure) -> list[Chart]:
    """A chart for each group, with the clean accuracy at severity 0."""
    charts = []
    for group in GROUPS:
        named = [
            (_in_words(name), [_place(s, share) for s, share in zip((0, *SEVERITIES), [clean, *shares], strict=True)])
            for name, shares in found.items()
            if CORRUPTIONS[name].group == group
        ]
        caption = f"{group.capitalize()}: {clean.name} with 95 % intervals; severity 0 is without a corruption."
        charts.append(curve_chart(named, group.capitalize(), "severity", caption, clean.name))
    return [chart for chart in charts if chart is not None]


def _table(found: dict[str, list[Measure]], clean: Measure) -> PageTable:
    heads = ("corruption", *(f"severity {s}" for s in SEVERITIES), "mean", "95 % interval at 5")
    rows = [
        (
            _in_words(name), *(percent(share.value, share.n) for share in shares),
            percent(float(np.mean([share.value for share in shares])), clean.n),
            _span(shares[-1]).strip(" ()") or "–",
        )
        for name, shares in found.items()
    ]  # fmt: skip
    return PageTable(f"{_title(clean)} by corruption", heads, rows, NOT_THE_BENCHMARK)


def _strip(pictures: Sequence[Any], name: str, note: str) -> ExampleView:
    """One image at all strengths, side by side."""
    png = png_bytes(grid(list(pictures), columns=len(pictures), gap=3, least=96, most=200))
    shown = page_picture(png, most=1400, limit=90 * KILOBYTE)
    return ExampleView(shown.image, shown.width, shown.height, name, note)
