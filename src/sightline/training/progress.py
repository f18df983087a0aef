"""Actions during training: logging, validation, keeping the best weights, estimating the remaining time."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from sightline.data.dataset import Dataset
from sightline.data.loaders import Images, in_order
from sightline.engine.checkpoints import kept_weights
from sightline.engine.devices import unwrapped
from sightline.engine.ema import Ema
from sightline.engine.state import State
from sightline.engine.stopping import best_index, should_stop
from sightline.errors import ResourceError
from sightline.evaluation.splits import Interrupted, rows_of
from sightline.kinds.kind import Kind, Networks
from sightline.preprocessing.saved import Preprocessing
from sightline.recipes.fine_tuning import FineTuning
from sightline.recipes.recipe import Recipe
from sightline.runs.clock import Clock
from sightline.runs.console import Console
from sightline.runs.run import Run
from sightline.storage.logs import Log, try_append
from sightline.storage.text import csv_text, json_text
from sightline.structures.batch import Batch
from sightline.tasks.task import Task

LOG_EVERY = 10  # steps between lines of metrics.jsonl
UNDEFINED = (-math.inf, -math.inf)  # the score of a validation whose monitored metric has no value


@dataclass
class Training:
    """One training in its folder, and the actions that the loop calls: `log`, `validate`."""

    run: Run
    recipe: Recipe
    kind: Kind
    data: Dataset
    preprocessing: Preprocessing
    images: dict[str, Images]
    networks: Networks
    task: Task
    fine_tuning: FineTuning
    console: Console
    device: str
    steps: int
    per_epoch: int
    schedule: Callable[[State], float]
    ema: Ema | None = None
    stop_requested: Callable[[], bool] = lambda: False
    metrics_log: Log = field(init=False)
    clock: Clock = field(init=False)

    def __post_init__(self) -> None:
        self.metrics_log = Log(self.run.folder / "metrics.jsonl")
        self.clock = Clock(self.run.folder)

    def estimate(self, batch: Batch) -> float:
        """Seconds that all training steps will take: the fastest of three steps of a copy of the task, all turns included."""
        with unwrapped(self.task) as bare:
            task, seconds = copy.deepcopy(bare).train(), []
        with torch.autocast(self.device, torch.bfloat16, enabled=self.recipe.fit.precision == "bf16"):
            for _ in range(3):
                start = time.perf_counter()
                for turn in self.task.turns:
                    task.loss(batch, turn.name).total.backward()
                seconds.append(time.perf_counter() - start)
        return min(seconds) * self.recipe.fit.accumulate * self.steps

    def images_seen(self, state: State) -> int:
        """The number of images that the steps so far were trained on."""
        return state.step * self.recipe.fit.batch

    def log(self, state: State) -> None:
        """Write a line of metrics.jsonl: means over the steps since the last line."""
        row = {"step": state.step, **state.logged.means(), "skipped": len(state.skipped)}
        state.logged.clear()
        if problem := try_append(self.metrics_log, json_text(row, indent=None) + "\n"):
            self.console.warn(problem)

    def validate(self, state: State) -> None:
        """Evaluate the current weights (or their EMA) on `val`, add a row to the history, keep the best weights, and end early
        after `fit.patience` validations without progress. A stop request in between leaves the validation owed."""
        rate = self.clock.stop(state.step, self.images_seen(state))
        row: dict[str, Any] = {
            "epoch": round(self.images_seen(state) / len(self.images["train"]), 6),
            "step": state.step,
        }
        row["lr"] = self.recipe.optim.lr * self.schedule(dataclasses.replace(state, step=state.step - 1))
        row |= {f"train_{name}": value for name, value in state.epoch.means().items()}
        state.owed = True
        scoring = self.kind.scoring
        if "val" in self.images and scoring is not None:
            batches = in_order(self.images["val"], scoring.batch)
            try:
                with self.ema.applied() if self.ema else contextlib.nullcontext():
                    rows = rows_of(self.task, batches, self.device, stop=self.stop_requested)
            except Interrupted:
                return  # still owed
            row |= {f"val_{name}": value for name, value in self.task.metrics(rows).items()}
        state.owed = False
        state.epoch.clear()
        state.history.append({name: _number(value) for name, value in row.items()})
        self._keep_best(state)
        if state.ended == "early" and state.logged.sums():
            self.log(state)
        self._report(state, row, rate)
        self.write_history(state)
        self.clock.start(self.images_seen(state))

    def _keep_best(self, state: State) -> None:
        """Keep the weights of the best validation by the monitored metric; while it is undefined, the latest."""
        scores = [self._score(row) for row in state.history]
        if best_index(scores) == len(scores) - 1 or max(scores) == UNDEFINED:
            state.best_weights = kept_weights(self.task, self.ema)
        patience = self.recipe.fit.patience
        known = next((i for i, score in enumerate(scores) if score != UNDEFINED), len(scores))
        if patience is not None and should_stop(scores[known:], patience) and state.ended is None:
            state.ended = "early"

    def _score(self, row: Mapping[str, Any]) -> tuple[float, float]:
        """Higher is better; ties of the monitored metric go to the lower loss. An undefined one, such as the MCC of a
        network that predicts a single class, is the worst."""
        monitor = self.recipe.fit.monitor
        value, loss = row.get(f"val_{monitor}"), row.get("val_loss")
        if value is None:
            return UNDEFINED
        return (-value if monitor == "loss" else value), -(math.inf if loss is None else loss)

    def _report(self, state: State, row: Mapping[str, Any], rate: float) -> None:
        left = (self.steps * self.recipe.fit.batch - self.images_seen(state)) / max(rate, 1e-9)
        names = dict.fromkeys(("train_loss", "val_loss", f"val_{self.recipe.fit.monitor}"))
        figures = ", ".join(f"{n.replace('_', ' ')} {row[n]:.4f}" for n in names if isinstance(row.get(n), float))
        where = f"epoch {round(row['epoch'], 1):g}  step {state.step}/{self.steps}"
        pace = f"  {rate:,.0f} images/s, {span(left)} left" if rate else ""  # an owed validation has no rate
        self.console.say(f"{where}  {figures}{pace}")

    def write_history(self, state: State) -> None:
        """Write history.csv from the state. It is rewritten, never appended to, so it cannot disagree with the weights."""
        names = list(dict.fromkeys(name for row in state.history for name in row))
        text = csv_text(names, ([row.get(name) for name in names] for row in state.history))
        try:
            self.run.write("history.csv", text.encode())
        except ResourceError as error:
            self.console.warn(str(error))


def _number(value: float | None) -> float | None:
    """None if it is not finite: JSON would turn NaN into null, and a resumed history must equal an uninterrupted one."""
    return value if value is None or math.isfinite(value) else None


def span(seconds: float) -> str:
    """A duration as text: 45 s, 12 min, 1.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
