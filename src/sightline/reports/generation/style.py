"""What the report says about pictures in another style: what is left of the losses, and pictures."""

from __future__ import annotations

from sightline.reports.chapter import Chapter, PageSection, Scene
from sightline.reports.parts.examples import example_values
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.reports.template import section
from sightline.reports.wording import percent

METRICS = {
    "loss": "content and style loss together",
    "content_left": "content loss left, as a share of that of noise",
    "style_left": "style loss left, as a share of that of noise",
    "style_unchanged": "style loss of the image as it was, as a share of that of noise",
}


def _notes(evaluation: SplitEvaluation) -> dict[int, str]:
    """id → what is left of both losses."""
    rows = evaluation.rows
    figures = zip(
        rows.id.tolist(), rows.column("content_left").tolist(), rows.column("style_left").tolist(), strict=True
    )
    return {i: f"content {percent(content)}, style {percent(style)}" for i, content, style in figures}


def _sections(scene: Scene) -> list[PageSection]:
    if (examples := example_values(scene, _notes, "the image, again, and in the style")) is None:
        return []
    return [PageSection("examples", "Examples", section("examples_section", examples, [], []))]


STYLES = Chapter(metric_names=METRICS, sections=_sections, examples=True)
