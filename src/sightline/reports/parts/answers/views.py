"""What the pages of labels and of numbers share: charts in a section of their own, and the worst answers with their images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sightline.drawing.png import fitted, png_bytes
from sightline.reports.chapter import ImageLookup, PageSection
from sightline.reports.parts.figures import LARGEST, LIMIT, TINY, Chart
from sightline.reports.parts.picture import MapPicture, map_note, map_picture, page_picture
from sightline.reports.samples import HeatMap
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.reports.template import section

MOST = 24  # images


@dataclass(frozen=True)
class AnswerView:
    """An image with its answer and the truth in words: `image` is a data URI, "" if the image is unavailable."""

    image: str
    width: int
    height: int
    tiny: bool
    name: str
    answer: str
    truth: str
    map: MapPicture | None = None


def worst_answers(
    evaluation: SplitEvaluation,
    load_image: ImageLookup,
    maps: Mapping[int, HeatMap],
    words: Callable[[int], tuple[str, str]],
) -> list[AnswerView]:
    """The worst images of the judgement; `words` gives answer and truth of a row."""
    place = {int(i): row for row, i in enumerate(evaluation.rows.id)}
    views = []
    for id in evaluation.judgement.worst[:MOST]:
        row = place[id]
        pixels, picture = load_image(evaluation.names[row]), None
        if pixels is not None:
            picture = page_picture(png_bytes(fitted(pixels, least=120, most=LARGEST)), most=LARGEST, limit=LIMIT)
        answer, truth = words(row)
        views.append(
            AnswerView(
                image=picture.image if picture is not None else "",
                width=picture.width if picture is not None else 0,
                height=picture.height if picture is not None else 0,
                tiny=pixels is not None and max(pixels.shape[:2]) <= TINY,
                name=evaluation.names[row],
                answer=answer,
                truth=truth,
                map=map_picture(maps, id) if picture is not None else None,
            )
        )
    return views


def chart_section(anchor: str, title: str, charts: Sequence[Chart]) -> PageSection:
    return PageSection(anchor, title, section("charts_section", anchor, title, charts))


def worst_section(views: Sequence[AnswerView], intro: str, maps: Mapping[int, HeatMap]) -> PageSection:
    return PageSection("mistakes", "Worst answers", section("answers_section", views, intro, map_note(maps)))
