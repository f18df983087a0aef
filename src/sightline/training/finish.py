"""After the last step: restore the best weights, evaluate every split, write the report and the seal."""

from __future__ import annotations

from typing import Any

from sightline.data.loaders import Images, in_order
from sightline.engine.checkpoints import kept_weights, load_weights
from sightline.engine.devices import unwrapped
from sightline.engine.state import State
from sightline.engine.timing import frame_rate
from sightline.errors import DivergedError
from sightline.evaluation.splits import rows_of
from sightline.inference.diagnosing.diagnosis import Noting
from sightline.kinds.kind import Scoring
from sightline.kinds.networks import config_file, facts_of, save_networks
from sightline.recipes.loading import choose
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.runs.run import FACTS, changed
from sightline.runs.seal import seal
from sightline.storage.tensors import not_finite

from .diagnosis import write_diagnosis, write_norms, write_tables
from .heat_maps import write_heat_maps
from .pictures import write_assignment, write_examples
from .progress import Training
from .reporting import write_report
from .strips import write_strip
from .watching import write_neighbours

SPLITS = ("train", "val", "test")


def finish(training: Training, state: State) -> None:
    """Load the best weights, evaluate every split with them, and write networks, predictions and report."""
    run, task, scoring = training.run, training.task, training.kind.scoring
    weights = state.best_weights or kept_weights(task, training.ema)
    if bad := not_finite(weights):
        raise DivergedError(f"the trained weights are not finite: {bad}", "lower optim.lr, or set fit.clip=1")
    load_weights(task, weights, "the best weights")
    if task.concludes:
        _conclude(training)
    save_networks(run, task, task.state_dict(), training.networks)
    if training.recipe.optim.l1:
        _write_sparsity(training)
    metrics: dict[str, Any] = dict.fromkeys(SPLITS)
    evaluation = _measure(training, scoring, metrics) if scoring is not None else None
    run.write_json("metrics.json", metrics)
    write_strip(training)
    run.note(status="finished", step=state.step, stopped=state.ended)
    with training.console.working("writing the report"):
        write_report(run, training.data, evaluation=evaluation)
    if not training.metrics_log.intact():
        raise changed(training.metrics_log.path, f"continue with: sightline train --resume {run.folder}")
    seal(run)
    page = f"report: {run.folder / 'report.html'}"
    if scoring is None:
        training.console.say(page)
        return
    split = next(s for s in ("test", "val", "train") if metrics[s])
    value = metrics[split][scoring.headline]
    figure = "undefined" if value is None else f"{value:.4f}"
    training.console.say(f"{split} {scoring.headline.replace('_', ' ')} {figure}; {page}")


def write_speed(training: Training) -> None:
    """speed.json: frames a second on this machine, with their conditions."""
    shape, threads = training.preprocessing.shape, training.recipe.fit.threads
    with unwrapped(training.task) as task:
        found = frame_rate(task, shape, threads=threads, device=training.device)
    training.run.write_json("speed.json", found)


def _write_sparsity(training: Training) -> None:
    """The share of weights that are exactly zero, in the config of each network and in words."""
    for name, network in training.networks.items():
        weights = [p.detach() for p in network.parameters() if p.dim() > 1]
        zeros, total = sum(int((p == 0).sum()) for p in weights), sum(p.numel() for p in weights)
        share = zeros / max(total, 1)
        config = training.run.read_json(config_file(name))
        training.run.write_json(config_file(name), {**config, "zero_weights": share})
        training.console.say(f"{name}: {zeros:,} of {total:,} weights are zero ({share:.1%})")


def _conclude(training: Training) -> None:
    """Fit what the task fits in closed form. What was measured before does not hold any more."""
    images, batch = training.images["train"], training.kind.scoring.batch if training.kind.scoring else 1
    training.task.eval()
    with training.console.working("fitting the last layers to the training images", len(images)) as phase:
        training.task.conclude(b.to(training.device) for b in phase.over(in_order(images, batch)))
    training.best_rows = None


def _measure(training: Training, scoring: Scoring, metrics: dict[str, Any]) -> SplitEvaluation | None:
    """Fill `metrics`, with the number of images behind each split's, and write predictions/<split>.parquet. Returns the
    judgement of the split that the report shows: test, else val."""
    run, data, recipe, kind = training.run, training.data, training.recipe, training.kind
    images = dict(training.images)
    ids = choose(images["train"].id.numpy(), max(len(images.get("val", ())), scoring.train_images))
    images["train"] = kind.load(data, ids, training.preprocessing, recipe, truths=kind.truths, judging=True)
    reported = "test" if "test" in images else "val"
    (run.folder / "predictions").mkdir(exist_ok=True)
    every = {split: _rows(training, scoring, split, some) for split, some in images.items()}
    write_tables(training)
    write_norms(training, scoring, images["train"], every["train"])
    if scoring.settle is not None and "val" in every:
        facts = facts_of(run) | scoring.settle(every["val"])
        run.write_json(FACTS, facts)
        every = {split: scoring.under(rows, facts) for split, rows in every.items()}
    evaluation = None
    for split, rows in every.items():
        names = [data.records[int(i)].name for i in rows.id]
        scoring.rows.write(run.folder / "predictions" / f"{split}.parquet", rows, names=names, classes=data.classes)
        run.record(f"predictions/{split}.parquet")
        with training.console.working(f"measuring the {split} split"):
            metrics[split] = training.task.metrics(rows)
        if split == reported:
            with training.console.working(f"measuring the intervals of the {split} split"):
                evaluation = SplitEvaluation(
                    split, rows, tuple(names), data.classes, scoring.rows.judge(rows, data.classes)
                )
                write_examples(training, scoring, evaluation, images[split])
            if (share := write_neighbours(training, images[split])) is not None:
                metrics[split]["memorised"] = share
    write_assignment(training)
    if scoring.timed:
        write_speed(training)
    if evaluation is not None:
        with training.console.working(f"searching slices of the {reported} split"):
            val = every.get("val") if reported != "val" else None
            diagnosis = write_diagnosis(training, scoring, evaluation, val)
        write_heat_maps(training, scoring, evaluation, images[reported], diagnosis)
    metrics["images"] = {split: len(some) for split, some in images.items()}
    return evaluation


def _rows(training: Training, scoring: Scoring, split: str, images: Images) -> Any:
    """The rows of a split; those of the validation that the weights come from are the same, where they are known."""
    if split == "val" and training.best_rows is not None:
        return training.best_rows
    noting = Noting(training.task, len(training.data.classes))
    with training.console.working(f"evaluating the {split} split", len(images)) as phase:
        batches = noting.over(phase.over(in_order(images, scoring.batch)))
        rows = rows_of(training.task, batches, training.device)
    training.measured[split] = noting.table()
    return rows
