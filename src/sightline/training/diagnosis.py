"""The folder `diagnosis` of a run: measurements of the images of every split, and what they say of the reported one."""

from __future__ import annotations

from typing import Any

from sightline.evaluation.diagnosis.stored import FOLDER, table_file, write_table
from sightline.inference.diagnosing.diagnosis import diagnose
from sightline.kinds.kind import Scoring
from sightline.reports.split_evaluation import SplitEvaluation

from .progress import Training


def write_tables(training: Training) -> None:
    """diagnosis/<split>.parquet of every split that was measured."""
    (training.run.folder / FOLDER).mkdir(exist_ok=True)
    for split, table in training.measured.items():
        write_table(training.run.folder / table_file(split), table)


def write_diagnosis(training: Training, scoring: Scoring, evaluation: SplitEvaluation, val: Any) -> None:
    """diagnosis/<split>.json of the reported split; `val` are the rows that the temperature is chosen on, None where there are
    no others than those reported."""
    split, tables = evaluation.split, training.measured
    if split in tables:
        found = diagnose(scoring, evaluation.rows, evaluation.judgement, tables[split], val=val, tables=tables)
        training.run.write_json(f"{FOLDER}/{split}.json", {"format": 1, "split": split, **found})
