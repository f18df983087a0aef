"""What the report says about swapped faces: every step on its way, and how far landmarks and seams are off."""

from __future__ import annotations

import math

from sightline.reports.chapter import Chapter, PageSection, Scene
from sightline.reports.parts.examples import example_values
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.reports.template import section

METRICS = {
    "psnr": "PSNR of the re-enacted face to the true one (dB)",
    "psnr_other": "the same for another person's face in that pose (dB)",
    "landmark_error": "landmark error after re-enactment (% of the eyes' distance)",
    "landmark_error_still": "landmark error without re-enactment",
    "landmark_error_found": "landmark error on the true image",
    "face_iou": "IoU of the face's mask",
    "seam": "gradient at the seam by that around it, blended",
    "seam_pasted": "gradient at the seam by that around it, pasted",
}


def _notes(evaluation: SplitEvaluation) -> dict[int, str]:
    """id → the landmark error, and the seam where there is one."""
    rows, notes = evaluation.rows, {}
    for i, error, seam in zip(rows.id.tolist(), rows.column("landmark_error"), rows.column("seam"), strict=True):
        notes[i] = f"landmarks {error:.1f} %" + (f", seam {seam:.2f}" if math.isfinite(seam) else "")
    return notes


def _sections(scene: Scene) -> list[PageSection]:
    intro = "the target, the face that is put in, and the steps: re-enacted, completed, pasted, blended"
    if (examples := example_values(scene, _notes, intro)) is None:
        return []
    return [PageSection("examples", "Examples", section("examples_section", examples, [], []))]


FACE_CHAPTER = Chapter(metric_names=METRICS, sections=_sections, examples=True)
