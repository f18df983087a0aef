"""The section "Where it fails": slices with their images, the temperature, shifts of the images between splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from sightline.drawing.bars import interval_strip
from sightline.drawing.curves import Frame, Line, line_chart
from sightline.drawing.png import fitted, png_bytes
from sightline.reports.chapter import ImageLookup, PageSection
from sightline.reports.parts.figures import Chart
from sightline.reports.parts.picture import KILOBYTE, MapPicture, map_note, map_picture, page_picture
from sightline.reports.rules.learning import split_word
from sightline.reports.samples import HeatMap
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.reports.template import section
from sightline.reports.wording import decimal, percent, percent_range, plural

from .stored import CurveFact, Diagnosis, ShiftFact, SliceFact, TemperatureFact

PICTURES = 6  # of each slice
LARGEST, LIMIT = 320, 40 * KILOBYTE  # pixels and bytes of one
NO_MAPS: Mapping[int, HeatMap] = {}
UNITS = {"size": " pixels"}


@dataclass(frozen=True)
class Small:
    """A small picture with the name of its file."""

    image: str
    width: int
    height: int
    name: str
    tiny: bool = False
    map: MapPicture | None = None


@dataclass(frozen=True)
class SliceView:
    """A slice as the page shows it."""

    words: str
    sentence: str
    strip: Markup | str
    pictures: tuple[Small, ...]


def diagnosis_section(
    diagnosis: Diagnosis | None,
    evaluation: SplitEvaluation | None,
    load_image: ImageLookup,
    maps: Mapping[int, HeatMap] = NO_MAPS,
) -> PageSection | None:
    """None where nothing was diagnosed."""
    if diagnosis is None or not diagnosis.score:
        return None
    values: dict[str, Any] = {
        "intro": _intro(diagnosis),
        "slices": [_view(diagnosis, one, _pictures(one, evaluation, load_image, maps)) for one in diagnosis.slices],
        "map_note": map_note(maps),
        "temperature": _temperature(diagnosis.temperature) if diagnosis.temperature is not None else "",
        "curve": _curve_chart(diagnosis.curve) if diagnosis.curve is not None else None,
        "shifts": [shift_words(shift, diagnosis.split) for shift in diagnosis.shifts],
    }
    return PageSection("slices", "Where it fails", section("slices_section", values))


def slice_words(diagnosis: Diagnosis, one: SliceFact) -> str:
    """ "accuracy 54 % (48–60 %) against 91 % on the rest, n = 212"."""
    rest = _figure(diagnosis, one.rest, one.confirmed)
    return f"{diagnosis.score} {_span(diagnosis, one)} against {rest} on the rest, n = {one.n:,}"


def shift_words(shift: ShiftFact, split: str) -> str:
    """A shift in one sentence."""
    unit = UNITS.get(shift.column, "")
    return (
        f"{shift.column[:1].upper()}{shift.column[1:]}: the median of the {split_word(split)} images is "
        f"{decimal(shift.value)}{unit}, that of the training images {decimal(shift.train)}{unit} "
        f"(Kolmogorov-Smirnov distance {shift.distance:.2f})."
    )


def _figure(diagnosis: Diagnosis, value: float, n: int) -> str:
    return percent(value, n) if diagnosis.share else decimal(abs(value))


def _span(diagnosis: Diagnosis, one: SliceFact) -> str:
    figure = _figure(diagnosis, one.value, one.confirmed)
    if diagnosis.share:
        return f"{figure} ({percent_range(one.low, one.high, one.confirmed)})"
    low, high = sorted(abs(end) for end in (one.low, one.high))
    return f"{figure} ({decimal(low)}–{decimal(high)})"


def _intro(diagnosis: Diagnosis) -> str:
    if diagnosis.reason:
        return f"No slices were searched: {diagnosis.reason}."
    tried = f"{plural(diagnosis.tried, 'condition')} on {plural(diagnosis.n, split_word(diagnosis.split) + ' image')}"
    how = "Slices are selected on one half of the images and confirmed on the other (false discovery rate 5 %)"
    if not diagnosis.slices:
        return f"{how}. None of {tried} names a group that does worse than the rest."
    return f"{how}: {len(diagnosis.slices)} of {tried}. The figures are those of the confirming half."


def _view(diagnosis: Diagnosis, one: SliceFact, pictures: tuple[Small, ...]) -> SliceView:
    strip: Markup | str = ""
    if diagnosis.share:
        strip = interval_strip(one.value, one.low, one.high, tone="two", title=f"{one.words}: {_span(diagnosis, one)}")
    sentence = f"{slice_words(diagnosis, one)}; p = {decimal(one.p, 2)}"
    return SliceView(
        f"{one.words[:1].upper()}{one.words[1:]}",
        f"{sentence[:1].upper()}{sentence[1:]}.",
        strip,
        pictures,
    )


def _pictures(
    one: SliceFact, evaluation: SplitEvaluation | None, load_image: ImageLookup, maps: Mapping[int, HeatMap]
) -> tuple[Small, ...]:
    """The worst images of the slice, where the data are available."""
    if evaluation is None:
        return ()
    names = {int(i): name for i, name in zip(evaluation.rows.id, evaluation.names, strict=True)}
    pictures = []
    for id in one.ids:
        pixels = load_image(names[id]) if id in names else None
        if pixels is None:
            continue
        picture = page_picture(png_bytes(fitted(pixels, least=96, most=LARGEST)), most=LARGEST, limit=LIMIT)
        tiny = max(pixels.shape[:2]) <= LARGEST // 5
        pictures.append(Small(picture.image, picture.width, picture.height, names[id], tiny, map_picture(maps, id)))
        if len(pictures) == PICTURES:
            break
    return tuple(pictures)


def _temperature(fact: TemperatureFact) -> str:
    side = "overconfident" if fact.temperature > 1 else "underconfident"
    text = (
        f"Temperature scaling (Guo et al. 2017): dividing the scores by T = {decimal(fact.temperature)}, chosen on "
        f"{plural(fact.chosen_on, 'validation image')}, changes the log loss from {decimal(fact.nll[0])} to "
        f"{decimal(fact.nll[1])} ({_change(fact.nll_change)}) and the expected calibration error from {decimal(fact.ece[0])} "
        f"to {decimal(fact.ece[1])} ({_change(fact.ece_change)}); no prediction changes."
    )
    if fact.nll_change[1] < 0:
        return f"{text} It is {side}: divide its scores by T before you set a threshold on its probabilities."
    if fact.nll_change[0] > 0:
        return f"{text} The log loss rises: these images are unlike the validation images, so do not use it here."
    return f"{text} That is no gain beyond chance: its probabilities can be used as they are."


def _change(ends: tuple[float, float]) -> str:
    return f"95 % interval of the change {decimal(ends[0])} to {decimal(ends[1])}"


def _curve_chart(fact: CurveFact) -> Chart:
    """The headline over the number of training images, and the forecast as a dot with its interval."""
    x = [float(n) for n, _ in fact.points]
    measured = Line("measured", x, [v for _, v in fact.points], "one")
    ahead = Line("", [float(fact.n)], [fact.value], "two", sizes=[0.3], intervals=[(fact.low, fact.high)])
    last = fact.points[-1]
    caption = (
        f"Trained with as many steps on parts of the data: {decimal(last[1])} with {last[0]:,} training images; "
        f"{fact.n:,} would give "
        f"about {decimal(fact.value)} (95 % interval {decimal(fact.low)} to {decimal(fact.high)})."
    )
    frame = Frame("What more data would give", caption, "training images", "headline")
    return Chart(line_chart([measured, ahead], frame), caption)
