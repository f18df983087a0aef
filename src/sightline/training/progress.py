"""Actions during training: logging, validation, keeping the best weights, the lines that describe them."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sightline.classical.pipeline import Solving
from sightline.data.dataset import Dataset
from sightline.data.loaders import Images, in_order
from sightline.engine.checkpoints import kept_weights
from sightline.engine.ema import Ema
from sightline.engine.state import State
from sightline.engine.stopping import best_index, should_stop
from sightline.errors import ResourceError
from sightline.evaluation.diagnosis.images import ImageTable, Measuring
from sightline.evaluation.splits import Interrupted, rows_of
from sightline.kinds.kind import Kind, Networks, Scoring
from sightline.preprocessing.saved import Preprocessing
from sightline.recipes.fine_tuning import FineTuning
from sightline.recipes.recipe import Recipe
from sightline.reports.rules.steps import TOO_HIGH, exploded
from sightline.runs.clock import Clock
from sightline.runs.console import Console
from sightline.runs.run import Run
from sightline.storage.logs import Log, try_append
from sightline.storage.text import csv_text, json_text
from sightline.structures.batch import Batch
from sightline.tasks.task import Task
from sightline.tracking.tracker import RATE, RATE_BEFORE, Picture, Tracker

from .health import HealthLog
from .pace import Pace, figure, span

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
    solving: Solving | None = None  # of a pipeline, whose steps are chunks of its solution
    ema: Ema | None = None
    stop_requested: Callable[[], bool] = lambda: False
    tracker: Tracker = field(default_factory=Tracker)
    enough: Callable[[Mapping[str, Any]], bool] = lambda row: False  # a row of the history → whether to end here
    draw: Callable[[], Picture | None] = lambda: None  # some validation images with their predictions
    best_rows: Any = None  # those of the validation that the best weights come from, if it was in this process
    measured: dict[str, ImageTable] = field(
        default_factory=dict
    )  # the images of splits, measured while they were predicted
    metrics_log: Log = field(init=False)
    health: HealthLog = field(init=False)
    clock: Clock = field(init=False)
    pace: Pace = field(init=False)
    _means: dict[str, float] = field(init=False, default_factory=dict)  # of the last line of metrics.jsonl

    def __post_init__(self) -> None:
        self.metrics_log = Log(self.run.folder / "metrics.jsonl")
        self.health = HealthLog(self.run.folder, self.networks, self.steps, compiled=self.recipe.fit.compile)
        self.clock = Clock(self.run.folder)
        scoring, images = self.kind.scoring, {split: len(some) for split, some in self.images.items()}
        val = images.get("val", 0) if scoring is not None else 0
        train = min(images["train"], max(val, scoring.train_images)) if scoring is not None else 0
        final = train + images.get("test", 0) if scoring is not None else 0  # the best validation is kept
        self.pace = Pace(self.steps, self.per_step, self.per_epoch, val, final)

    def images_seen(self, state: State) -> int:
        """The number of images that the steps so far were trained on."""
        return state.step * self.per_step

    @property
    def per_step(self) -> int:
        """Images of a step: a batch, or all of them where a step is a chunk of a solution."""
        return self.recipe.fit.batch if self.solving is None else len(self.images["train"])

    def log(self, state: State) -> None:
        """Write a line of metrics.jsonl: means over the steps since the last line."""
        self._means = state.logged.means()
        row = {"step": state.step, **self._means, "skipped": len(state.skipped)}
        state.logged.clear()
        self.tracker.logged(row, self.rates(state))
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
        rates = self.rates(state)
        row |= {"lr": rates[RATE]} if rates else {}
        row |= {f"train_{name}": value for name, value in state.epoch.means().items()}
        self._warn_of_divergence(state, row)
        state.owed = True
        scoring, rows, averaged = self.kind.scoring, None, self.ema is not None
        if "val" in self.images and scoring is not None:
            batches, start = in_order(self.images["val"], scoring.batch), time.perf_counter()
            measuring = Measuring() if "val" not in self.measured else None  # once: the images stay the same
            batches = measuring.over(batches) if measuring is not None else batches
            try:
                rows, averaged = self._measure(scoring, batches, row)
            except Interrupted:
                return  # still owed
            self.pace.validated(time.perf_counter() - start)
            if measuring is not None:
                self.measured["val"] = measuring.table()
        state.owed = False
        state.epoch.clear()
        state.history.append({name: _number(value) for name, value in row.items()})
        self._keep_best(state, rows, averaged)
        if state.ended == "early" and state.logged.sums():
            self.log(state)
        self._report(state, row, rate)
        self.write_history(state)
        self.tracker.validated(state.history[-1], rates, rate, self._drawn)
        self.clock.start(self.images_seen(state))

    def _measure(self, scoring: Scoring, batches: Iterable[Batch], row: dict[str, Any]) -> tuple[Any, bool]:
        """Predict `val` and add its metrics to the row; the rows, and whether they are those of the averaged weights. Where the
        kind compares both weights, the better ones by the monitored metric, and the metric of both."""

        def measured(averaged: bool, batches: Iterable[Batch]) -> tuple[Any, dict[str, Any]]:
            with (
                self.ema.applied() if self.ema and averaged else contextlib.nullcontext(),
                self.console.working("validating", len(self.images["val"])) as phase,
            ):
                rows = rows_of(self.task, phase.over(batches), self.device, stop=self.stop_requested)
                return rows, {f"val_{name}": value for name, value in self.task.metrics(rows).items()}

        rows, metrics = measured(self.ema is not None, batches)
        averaged = self.ema is not None
        if averaged and scoring.both_weights:
            name = f"val_{self.recipe.fit.monitor}"
            raw_rows, raw = measured(False, in_order(self.images["val"], scoring.batch))
            row |= {f"{name}_average": metrics[name], f"{name}_raw": raw[name]}
            if self._score(raw) > self._score(metrics):
                rows, metrics, averaged = raw_rows, raw, False
        row |= metrics
        return rows, averaged

    def rates(self, state: State) -> dict[str, float]:
        """The learning rates of the last step: of new parameters, and of those that came with the weights."""
        if self.solving is not None:
            return {}
        rate = self.recipe.optim.lr * self.schedule(dataclasses.replace(state, step=state.step - 1))
        before = self.fine_tuning.pretrained
        if not before.parameters:
            return {RATE: rate}
        return {RATE: rate, RATE_BEFORE: rate * before.rate if state.step > before.starts else 0.0}

    def _drawn(self) -> Picture | None:
        with self.ema.applied() if self.ema else contextlib.nullcontext():
            return self.draw()

    def _warn_of_divergence(self, state: State, row: Mapping[str, Any]) -> None:
        """A line when the training loss first leaves its range: the run may go on for hours without coming back."""
        headline, limits = self.kind.chapter.headline, self.kind.chapter.limits
        rows = [*state.history, row]
        if headline is None or not headline.of_images or not self.data.classes:
            return
        if exploded(rows, len(self.data.classes), limits.explosion) == len(rows) - 1:
            loss = row.get("train_loss")
            guessing = f"guessing has {math.log(len(self.data.classes)):.2f}"
            size = f"{loss:.3g}" if loss is not None and math.isfinite(loss) else "not finite"
            self.console.warn(f"diverged: {TOO_HIGH} (the training loss is {size}, {guessing}); lower optim.lr")

    def _keep_best(self, state: State, rows: Any, averaged: bool) -> None:
        """Keep the weights of the best validation by the monitored metric; while it is undefined, the latest."""
        scores = [self._score(row) for row in state.history]
        if best_index(scores) == len(scores) - 1 or max(scores) == UNDEFINED:
            state.best_weights = kept_weights(self.task, self.ema if averaged else None)
            self.best_rows = rows
        patience = self.recipe.fit.patience
        known = next((i for i, score in enumerate(scores) if score != UNDEFINED), len(scores))
        if patience is not None and should_stop(scores[known:], patience) and state.ended is None:
            state.ended = "early"
        if state.ended is None and self.enough(state.history[-1]):
            state.ended = "early"

    def _score(self, row: Mapping[str, Any]) -> tuple[float, float]:
        """Higher is better; ties of the monitored metric go to the lower loss. An undefined one, such as the MCC of a
        network that predicts a single class, is the worst."""
        monitor = self.recipe.fit.monitor
        value, loss = row.get(f"val_{monitor}"), row.get("val_loss")
        if value is None:
            return UNDEFINED
        falling = self.kind.scoring.falling if self.kind.scoring is not None else ()
        return (-value if monitor == "loss" or monitor in falling else value), -(math.inf if loss is None else loss)

    def _report(self, state: State, row: Mapping[str, Any], rate: float) -> None:
        headline = self.kind.scoring.headline if self.kind.scoring is not None else None
        names = dict.fromkeys(
            ("train_loss", "val_loss", f"train_{headline}", f"val_{headline}", f"val_{self.recipe.fit.monitor}")
        )
        figures = [f"{n.replace('_', ' ')} {figure(row[n])}" for n in names if isinstance(row.get(n), float)]
        for which in ("average", "raw"):
            if isinstance(value := row.get(f"val_{self.recipe.fit.monitor}_{which}"), float):
                figures.append(f"{which} {figure(value)}")
        speed = [f"{rate:,.0f} images/s"] if rate >= 1 else []  # an owed validation has no rate
        self.console.say(
            "  ".join(
                filter(None, (self._where(state.step), ", ".join(figures), ", ".join(speed + self.left(state.step))))
            )
        )

    def _where(self, step: int) -> str:
        """The last epoch can be a little longer than a pass over the images: what was requested is what is shown."""
        if self.solving is not None:
            name = f"{self.solving.names[step - 1]}  " if step else ""
            return f"{name}chunk {step:,}/{self.steps:,}"
        epoch = min(step * self.recipe.fit.batch / len(self.images["train"]), self.recipe.fit.epochs)
        return f"epoch {round(epoch, 1):g}  step {step:,}/{self.steps:,}"

    def line(self, step: int) -> str:
        """How far the training is between two validations."""
        names = ("loss", self.kind.scoring.headline if self.kind.scoring is not None else "loss")
        means = self._means
        figures = [f"train {n.replace('_', ' ')} {figure(means[n])}" for n in dict.fromkeys(names) if n in means]
        return "  ".join(filter(None, (self._where(step), ", ".join(figures + self.left(step)))))

    def left(self, step: int) -> list[str]:
        """The time left in words, once it is known; early stopping may shorten it."""
        seconds = self.pace.left(step) if step < self.steps else None
        about = "at most" if self.recipe.fit.patience else "about"
        return [] if seconds is None else [f"{about} {span(seconds)} left"]

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
