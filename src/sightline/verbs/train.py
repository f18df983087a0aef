"""train: images in; a run folder with a trained, measured, reported model out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from sightline.data.dataset import Dataset
from sightline.data.loaders import Memory
from sightline.data.stream import Stream
from sightline.engine.checkpoints import Checkpoints
from sightline.engine.devices import (
    choose_device,
    choose_precision,
    choose_threads,
    compute_threads,
    deep_graphs,
    fingerprint,
    make_fabric,
    repeatable,
    require_compiler,
    set_up,
)
from sightline.engine.ema import Ema
from sightline.engine.fit import Plan, fit
from sightline.engine.signals import listening
from sightline.engine.state import State
from sightline.errors import DivergedError, SightlineError, Stopped, UsageError
from sightline.models.describe import describe
from sightline.preprocessing.saved import Preprocessing
from sightline.recipes.arguments import model_options_of, require_options
from sightline.recipes.assembly import (
    build_augment,
    build_geometry,
    build_model,
    build_optimizers,
    build_order,
    build_schedule,
    build_task,
    check,
    load_start,
    normalisation_of,
    steps_of,
)
from sightline.recipes.recipe import Recipe
from sightline.runs.console import Teller
from sightline.runs.folder import as_begun, begin, place, require_free
from sightline.runs.run import Run, open_run
from sightline.storage.locks import locked
from sightline.training.finish import finish
from sightline.training.progress import LOG_EVERY, Training, span

from .preparing import (
    SMOKE,
    choose,
    completed,
    draft,
    load,
    open_dataset,
    require_there,
    require_watched,
    statistics,
)
from .report import sample_batch


def train(  # noqa: PLR0913 - the commonest recipe keys by name, as on the command line
    what: str | Path | None = None,
    overrides: str | Sequence[str] | Mapping[str, Any] = (),
    *,
    model: str | None = None,
    epochs: float | None = None,
    batch: int | None = None,
    lr: float | None = None,
    seed: int | None = None,
    device: str | None = None,
    precision: str | None = None,
    out: str | Path | None = None,
    resume: Run | str | Path | None = None,
    smoke: bool = False,
    teller: Teller | None = None,
) -> Run:
    """Train on WHAT (a built-in data set, a recipe, a folder or file of your own) and return the finished run.

    `overrides` are recipe keys (`["fit.epochs=5"]` or `{"fit.epochs": 5}`); the named arguments are the commonest of
    them. `out` is the run folder; `resume` goes on with an unfinished one. Raises UsageError, DataError, DivergedError,
    ResourceError, and Stopped after a signal, when everything so far is committed.
    """
    teller = teller or Teller()
    flags = {
        "model.name": model, "fit.epochs": epochs, "fit.batch": batch, "optim.lr": lr, "seed": seed,
        "fit.device": device, "fit.precision": precision,
    }  # fmt: skip
    recipe, out, smoke = _asked(what, overrides, flags, out, resume, smoke)
    require_options(recipe)
    require_free(out)
    data = open_dataset(recipe, teller)
    recipe = resolved(as_begun(recipe, out), data)
    start = _start(recipe, data, out, teller)
    run = place(recipe, data, out, smoke=smoke)
    device = choose_device(recipe.fit.device)
    compiling = deep_graphs(recipe.fit.compile)
    with compute_threads(recipe.fit.threads), repeatable(device), compiling, locked(run.folder):
        begin(run, recipe, data, smoke=smoke, teller=teller)
        teller.keep(run.folder / "log.txt")
        with _its_end_noted(run, teller):
            _train(_ready(run, recipe, data, start, teller, smoke=bool(run.status["smoke"])))
    return run


@contextmanager
def _its_end_noted(run: Run, teller: Teller) -> Iterator[None]:
    """What kind of error ended a training stands in run.json, its words, which may name paths, in the log."""
    try:
        yield
    except Stopped:
        raise
    except Exception as error:
        with suppress(SightlineError):  # a full disk, which may be the error itself
            code = error.code if isinstance(error, SightlineError) else type(error).__name__
            diverged = isinstance(error, DivergedError)
            run.note(status="diverged" if diverged else "failed", stopped=str(error) if diverged else code)
            if teller.log is not None:
                teller.log.append(f"{error}\n")
        raise


def _asked(
    what: str | Path | None,
    overrides: str | Sequence[str] | Mapping[str, Any],
    flags: Mapping[str, Any],
    out: str | Path | None,
    resume: Run | str | Path | None,
    smoke: bool,
) -> tuple[Recipe, str | Path | None, bool]:
    """Recipe, folder and smoke as the user asked for them, or as the run to resume has them."""
    if resume is None:
        if what is None:
            raise UsageError("nothing to train on", "for example: sightline train digits")
        return draft(what, overrides, flags), out, smoke
    if what is not None or overrides or out is not None or any(v is not None for v in flags.values()):
        raise UsageError("--resume takes a run and nothing else", "its recipe is in the run")
    run = resume if isinstance(resume, Run) else open_run(resume)
    if run.finished:
        raise UsageError(f"{run.folder} is finished", "train again with another --out")
    require_there(run.recipe, "put them back")
    return run.recipe, run.folder, bool(run.status.get("smoke"))


def resolved(recipe: Recipe, data: Dataset) -> Recipe:
    """The recipe with nothing left open: gaps filled by the rules, precision and threads chosen."""
    recipe = completed(recipe, data)
    check(recipe)
    require_watched(recipe, data)
    if recipe.fit.compile:
        require_compiler()
    work = describe(build_model(recipe, len(data.classes)), input=_shape(recipe))["multiply_adds"]
    chosen = {
        "precision": choose_precision(recipe.fit.precision, choose_device(recipe.fit.device), work),
        "threads": choose_threads(recipe.fit.threads, work),
    }
    return recipe.model_copy(update={"fit": recipe.fit.model_copy(update=chosen)})


class Start(NamedTuple):
    """The network that a training begins with, and where its weights are from, as the run keeps and says it."""

    network: nn.Module
    weights: dict[str, Any] | None = None
    said: Sequence[str] = ()


def _start(recipe: Recipe, data: Dataset, out: str | Path | None, teller: Teller) -> Start:
    """Weights from elsewhere are read before there is a folder, and not again once a checkpoint has the network's own."""
    network = build_model(recipe, len(data.classes))
    if recipe.model.weights is None:
        return Start(network)
    run = Run(Path(out or "."))
    if out is not None and (run.folder / "model/config.json").exists() and any(run.folder.glob("checkpoints/step-*")):
        return Start(network, run.read_json("model/config.json").get("weights"))
    teller.say(f"reading the weights {recipe.model.weights}")
    fit = load_start(recipe, network, len(data.classes))
    return Start(network, fit.record(), fit.said())


def _shape(recipe: Recipe) -> tuple[int, int, int]:
    assert recipe.input.size and recipe.input.width and recipe.input.channels
    return recipe.input.channels, recipe.input.size, recipe.input.width


def _ready(run: Run, recipe: Recipe, data: Dataset, start: Start, teller: Teller, *, smoke: bool) -> Training:
    """Load the images, measure the training split, build the task, and write what describes them."""
    channels = _shape(recipe)[0]
    ids = {split: data.ids(split) for split in ("train", "val", "test") if len(data.ids(split))}
    if smoke:
        ids = {split: choose(some, SMOKE) for split, some in ids.items()}
    geometry = build_geometry(recipe)
    raw = Preprocessing(geometry, (0.0,) * channels, (1.0,) * channels, channels)
    images = {split: load(data, some, raw, recipe, judging=split != "train") for split, some in ids.items()}
    mean, std = normalisation_of(start.weights, start.network, channels) or statistics(images["train"], channels)
    preprocessing = replace(raw, mean=mean, std=std)
    task = build_task(recipe, preprocessing, data.amounts()[:, 0], start.network)
    steps, per_epoch = (2, 2) if smoke else steps_of(recipe, len(ids["train"]))
    run.write_json("preprocessing.json", preprocessing.to_json())
    described = describe(build_model(recipe, len(data.classes)), input=_shape(recipe))
    (run.folder / "model").mkdir(exist_ok=True)
    options = model_options_of(recipe, len(data.classes))
    config = {"options": options, "input": _shape(recipe), "classes": data.classes}
    config |= {"weights": start.weights} if start.weights else {}
    run.write_json("model/config.json", described | config | {"name": recipe.model.name})
    for line in start.said:
        teller.say(line)
    teller.say(
        f"{recipe.model.name} ({described['parameters']:,} parameters) on {len(ids['train']):,} images of "
        f"{len(data.classes)} classes at {geometry.height}x{geometry.width}: {steps:,} steps of {recipe.fit.batch}, "
        f"{recipe.fit.precision}, in {run.folder}"
    )
    if "val" not in images:
        teller.say("no val split: nothing chooses among the weights, the last ones are kept")
    device = choose_device(recipe.fit.device)
    assert recipe.fit.batch
    schedule = build_schedule(recipe, steps, len(ids["train"]) / recipe.fit.batch)
    return Training(run, recipe, data, preprocessing, images, task, teller, device, steps, per_epoch, schedule)


def _train(training: Training) -> None:
    run, recipe, task, teller = training.run, training.recipe, training.task, training.teller
    assert recipe.fit.batch
    fabric = make_fabric(training.device, recipe.fit.precision)
    optimizers = set_up(fabric, task, build_optimizers(recipe, task, training.device), compiled=recipe.fit.compile)
    training.ema = Ema(task, recipe.fit.ema) if recipe.fit.ema else None
    folder = run.folder / "checkpoints"
    folder.mkdir(exist_ok=True)
    keeper = Checkpoints(
        folder, task, optimizers, ema=training.ema, logs={"metrics.jsonl": training.metrics_log}, say=teller.warn,
        about={**run.identity(), "fingerprint": fingerprint(fabric, recipe.fit.precision, compiled=recipe.fit.compile)},
    )  # fmt: skip
    state = _where_it_stands(keeper, training)
    shown = training.images["train"]
    stream = Stream(
        shown, build_order(recipe, shown.index.numpy(), training.data.counts()[:, 0]), len(shown),
        recipe.fit.batch // recipe.fit.accumulate, recipe.seed,
        workers=0 if isinstance(shown, Memory) else recipe.data.workers,  # a gather is quicker than handing it over
    )  # fmt: skip
    plan = Plan(training.steps, training.schedule, recipe.fit.accumulate, recipe.fit.clip or None, recipe.seed)
    augment = build_augment(recipe)
    first = augment(stream.batch(0))
    sample_batch(run, first, training.data)
    if state.step == 0 and training.device == "cpu":
        teller.say(f"about {span(training.estimate(first))} of training")
    every = [(LOG_EVERY, training.log), (training.per_epoch, training.validate)]
    every += [(n, keeper.commit) for n in (training.per_epoch, recipe.fit.commit_every) if n]
    with listening() as asked, teller.progress("training", training.steps, state.step, images=recipe.fit.batch) as bar:
        training.asked = asked
        training.clock.start(training.seen(state))

        def rescue(state: State) -> None:
            with suppress(Exception):  # the error itself is what matters
                keeper.commit(state)
                run.note(step=state.step)

        if state.owed:
            training.validate(state)
        if not asked.signal:
            fit(
                fabric, task, optimizers, stream.feed, plan, ema=training.ema, augment=augment, state=state,
                every=every, watch=bar.at, stop=asked, rescue=rescue,
            )  # fmt: skip
        if asked.signal:
            training.clock.stop(state.step, training.seen(state))
            keeper.commit(state)
            run.note(status="stopped", step=state.step, stopped=None)
            kept = "nothing" if keeper.kept is None else f"what came before step {keeper.kept}"
            raise Stopped(
                f"stopped at step {state.step} of {training.steps}; "
                f"{'everything so far' if keeper.kept == state.step else kept} is kept",
                f"go on with: sightline train --resume {run.folder}",
                signal=asked.signal,
            )
    finish(training, state)


def _where_it_stands(keeper: Checkpoints, training: Training) -> State:
    """The newest good state, or the start; logs and history cut back to it."""
    state = keeper.resume()
    if state is None:
        if training.run.status["step"]:
            training.teller.warn(f"{training.run.folder} holds no checkpoint: training starts anew")
        state = State()
        training.metrics_log.restart()
    else:
        training.teller.say(f"resumed at step {state.step} of {training.steps}")
    training.write_history(state)
    training.run.note(status="running", step=state.step, stopped=None)
    return state
