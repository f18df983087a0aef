"""The predictions that a run left behind, judged: what kind of rows they are decides what can be told of them."""

from __future__ import annotations

from dataclasses import dataclass

from sightline.errors import SightlineError
from sightline.evaluation.detections import DetectionJudgement
from sightline.evaluation.judgement import Judgement
from sightline.evaluation.judging import judge_any, read_any
from sightline.evaluation.segments import SegmentJudgement
from sightline.reports.reading import Folder
from sightline.structures.detection_rows import DetectionRows
from sightline.structures.predictions import ClassRows
from sightline.structures.segment_rows import SegmentRows


@dataclass(frozen=True)
class Judged:
    """The rows of one split and what they amount to; `names[i]` is the file of row i."""

    split: str
    rows: ClassRows
    names: tuple[str, ...]
    classes: tuple[str, ...]
    judgement: Judgement


@dataclass(frozen=True)
class JudgedSegments:
    """The same of a segmentation."""

    split: str
    rows: SegmentRows
    names: tuple[str, ...]
    classes: tuple[str, ...]
    judgement: SegmentJudgement


@dataclass(frozen=True)
class JudgedObjects:
    """The same of a detector, with masks or without."""

    split: str
    rows: DetectionRows
    names: tuple[str, ...]
    classes: tuple[str, ...]
    judgement: DetectionJudgement


AnyJudged = Judged | JudgedSegments | JudgedObjects


def read_judged(folder: Folder, kind: str) -> AnyJudged | None:
    """The test predictions where there are any, else those of validation; `kind` is the task's."""
    for split in ("test", "val"):
        path = folder.path / "predictions" / f"{split}.parquet"
        if not path.is_file():
            continue
        try:
            rows, names, labels = read_any(path, kind)
            judgement = judge_any(rows, labels)
        except (SightlineError, ValueError, OSError):
            folder.problems.append(f"predictions/{split}.parquet could not be used.")
            continue
        files, classes = tuple(names), tuple(labels)
        if isinstance(rows, ClassRows) and isinstance(judgement, Judgement):
            return Judged(split, rows, files, classes, judgement)
        if isinstance(rows, SegmentRows) and isinstance(judgement, SegmentJudgement):
            return JudgedSegments(split, rows, files, classes, judgement)
        if isinstance(rows, DetectionRows) and isinstance(judgement, DetectionJudgement):
            return JudgedObjects(split, rows, files, classes, judgement)
    return None
