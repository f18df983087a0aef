"""What the report says about images beside their texts only: what was found for the images whose text was not."""

from __future__ import annotations

from dataclasses import replace

from sightline.evaluation.language.pairs import NAMES
from sightline.reports.chapter import PageSection, Scene
from sightline.reports.headline import Headline
from sightline.reports.split_evaluation import SplitEvaluation

from .texts import text_chapter
from .views import worst_answers, worst_section

RECALL = Headline(
    "recall_at_1",
    "recall@1",
    of_images=True,
    meaning="the share of the images that find their own text among all of the split",
)
METRICS = dict(
    zip(
        NAMES,
        (
            "image finds its text first",
            "image finds its text among five",
            "text finds its image first",
            "text finds its image among five",
        ),
        strict=True,
    )
)


def _sections(scene: Scene) -> list[PageSection]:
    evaluation = scene.content.evaluation
    if evaluation is None or not evaluation.judgement.worst:
        return []
    words = _nearest(evaluation)
    views = worst_answers(evaluation, scene.load_image, scene.content.maps, lambda row: words[row])
    n = evaluation.judgement.n
    intro = f"Images that another of the {n:,} texts is nearer to than their own, those farthest behind first."
    return [worst_section(views, intro, scene.content.maps)]


def _nearest(evaluation: SplitEvaluation) -> list[tuple[str, str]]:
    rows = evaluation.rows
    best = (rows.image @ rows.text.T).argmax(1)
    return [(rows.wording[k], own) for k, own in zip(best.tolist(), rows.wording, strict=True)]


PAIRS = replace(
    text_chapter(RECALL, images=True), metric_names=METRICS, sections=_sections, in_per_cent=lambda name: True
)
