"""After the last step: the kept weights, every split judged with them, the report, the seal."""

from __future__ import annotations

from typing import Any

from sightline.engine.checkpoints import kept_weights, load_weights
from sightline.engine.state import State
from sightline.evaluation.judging import judge_any
from sightline.recipes.defaults import HEADLINES
from sightline.runs.seal import seal
from sightline.storage.files import replace_file
from sightline.storage.tensors import pack
from sightline.verbs.evaluate import judge_split, write_split
from sightline.verbs.preparing import choose, load
from sightline.verbs.report import write_report

from .examples import write_examples
from .progress import Training

# Training images that the train figures are measured on, or as many as val has, if that is more.
TRAIN_JUDGED = {"classification": 2_000, "segmentation": 200, "detection": 200, "instances": 200}


def finish(training: Training, state: State) -> None:
    """Keep the best weights, judge every split with them, write the model, the predictions, the report."""
    run, task, recipe = training.run, training.task, training.recipe
    load_weights(task, state.best_weights or kept_weights(task, training.ema), "the best weights")
    inside = "model.network."
    bare = {name.removeprefix(inside): t for name, t in task.state_dict().items() if name.startswith(inside)}
    replace_file(run.folder / "model" / "model.safetensors", pack(bare)[0])
    judged = dict(training.images)
    most = TRAIN_JUDGED[recipe.task.kind]
    ids = choose(judged["train"].id.numpy(), max(len(judged.get("val", ())), most))
    judged["train"] = load(training.data, ids, training.preprocessing, recipe, judging=True)
    metrics: dict[str, Any] = {"train": None, "val": None, "test": None}
    shown = "test" if "test" in judged else "val"
    for split, images in judged.items():
        rows = judge_split(task, images, training.device)
        write_split(run, split, rows, training.data)
        metrics[split] = task.metrics(rows)
        if split == shown and recipe.task.kind != "classification":
            judgement = judge_any(rows, training.data.classes)
            write_examples(run, task, training.data, images, judgement, split, training.device)
    run.write_json("metrics.json", metrics)
    run.note(status="finished", step=state.step, stopped=state.ended)
    write_report(run, training.data)
    seal(run)
    split = next(s for s in ("test", "val", "train") if metrics[s])
    headline = HEADLINES[recipe.task.kind]
    value = metrics[split][headline]
    said = "undefined" if value is None else f"{value:.4f}"
    training.teller.say(f"{split} {headline.replace('_', ' ')} {said}; report: {run.folder / 'report.html'}")
