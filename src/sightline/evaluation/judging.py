"""Rows of any kind: judged, written and read by what they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sightline.structures.detection_rows import DetectionRows
from sightline.structures.predictions import ClassRows
from sightline.structures.segment_rows import SegmentRows

from .detections import DetectionJudgement, judge_detections
from .judgement import Judgement, judge
from .predictions import read_rows, write_rows
from .segments import SegmentJudgement, judge_segments
from .stored_rows import read_detection_rows, read_segment_rows, write_detection_rows, write_segment_rows

Rows = ClassRows | SegmentRows | DetectionRows
AnyJudgement = Judgement | SegmentJudgement | DetectionJudgement


def judge_any(rows: Rows, classes: Sequence[str]) -> AnyJudgement:
    """Everything that the rows say."""
    if isinstance(rows, ClassRows):
        return judge(rows, classes)
    if isinstance(rows, SegmentRows):
        return judge_segments(rows, classes)
    return judge_detections(rows, classes)


def write_any(path: Path, rows: Rows, *, names: Sequence[str], classes: Sequence[str]) -> None:
    """Replace the Parquet file of these rows atomically. `names`: one a row."""
    if isinstance(rows, ClassRows):
        write_rows(path, rows, names=names, classes=classes)
    elif isinstance(rows, SegmentRows):
        write_segment_rows(path, rows, names=names, classes=classes)
    else:
        write_detection_rows(path, rows, names=names, classes=classes)


def read_any(path: Path, task: str) -> tuple[Rows, list[str], list[str]]:
    """The rows of a task of this kind, the name of each, and the class names. Raises DamagedError."""
    if task == "segmentation":
        return read_segment_rows(path)
    if task in ("detection", "instances"):
        return read_detection_rows(path)
    return read_rows(path)
