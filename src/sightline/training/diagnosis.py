"""The folder `diagnosis` of a run: measurements of the images of every split, and what they say of the reported one."""

from __future__ import annotations

from typing import Any

from sightline.data.loaders import Images, in_order
from sightline.engine.health.norms import batch_norms, training_norms, with_batch_statistics
from sightline.evaluation.diagnosis.stored import FOLDER, table_file, write_table
from sightline.evaluation.splits import rows_of
from sightline.inference.diagnosing.diagnosis import diagnose
from sightline.inference.diagnosing.metadata import with_metadata
from sightline.kinds.kind import Scoring
from sightline.recipes.loading import choose
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.storage.files import make_folder

from .progress import Training

NORM_IMAGES = 512  # most training images that batch norm's gap is measured on
NORMS = f"{FOLDER}/norms.json"


def write_tables(training: Training) -> None:
    """diagnosis/<split>.parquet of every split that was measured, with the metadata of its images."""
    make_folder(training.run.folder / FOLDER)
    for split, table in training.measured.items():
        training.measured[split] = with_metadata(table, training.data)
        write_table(training.run.folder / table_file(split), training.measured[split])


def write_diagnosis(training: Training, scoring: Scoring, evaluation: SplitEvaluation, val: Any) -> dict[str, Any]:
    """diagnosis/<split>.json of the reported split, and what it says; `val` are the rows that the temperature is chosen on,
    None where there are no others than those reported."""
    split, tables = evaluation.split, training.measured
    if split not in tables:
        return {}
    diagnosis = diagnose(scoring, evaluation.rows, evaluation.judgement, tables[split], val=val, tables=tables)
    training.run.write_json(f"{FOLDER}/{split}.json", {"format": 1, "split": split, **diagnosis})
    return diagnosis


def write_norms(training: Training, scoring: Scoring, images: Images, rows: Any) -> None:
    """diagnosis/norms.json: the headline on training images with running and with batch statistics; nothing where no network
    has batch norms. `rows` are those of `images`, training images, with running statistics: they are used where there are
    not too many of them, because predicting hundreds of masks or boxes once more takes minutes."""
    task, recipe = training.task, training.recipe
    norms = batch_norms(task)
    if not norms or not len(images):
        return
    kind, few = training.kind, len(images) <= NORM_IMAGES
    if not few:
        ids = choose(training.images["train"].id.numpy(), NORM_IMAGES)
        images = kind.load(training.data, ids, training.preprocessing, recipe, truths=kind.truths, judging=True)
    batch = min(recipe.fit.batch, len(images))
    with training.console.working("comparing the statistics of batch norm"):
        running = rows if few else rows_of(task, in_order(images, batch), training.device)
        with with_batch_statistics(norms):
            own = rows_of(task, training_norms(in_order(images, batch), norms), training.device)
        values = {name: task.metrics(some)[scoring.headline] for name, some in (("running", running), ("batch", own))}
    training.run.write_json(NORMS, {"format": 1, "metric": scoring.headline, "n": len(images), "of": batch, **values})
