"""A training from the state of its folder to its end: the loop with its actions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from functools import partial

import torch

from sightline.data.loaders import Memory
from sightline.data.stream import Stream
from sightline.engine.checkpoints import Checkpoints
from sightline.engine.devices import Fabric, fingerprint, make_fabric, set_up
from sightline.engine.fit import TrainingPlan, fit
from sightline.engine.signals import catch_signals
from sightline.engine.solve import solve
from sightline.engine.state import State
from sightline.errors import DamagedError, Stopped, UsageError
from sightline.recipes.assembly import build_average, build_optimizers, build_order
from sightline.recipes.augmenting import build_augment
from sightline.structures.batch import Batch

from . import watching
from .finish import finish
from .pictures import IN_BATCH, write_batch
from .progress import LOG_EVERY, Training
from .solving import validation
from .tracked import begin_tracking, tracked


def run_training(training: Training) -> None:
    """Train, measure, report, seal. Raises Stopped after a signal, once everything so far is committed."""
    with tracked(training):
        state = _train(training)
        finish(training, state)
        training.tracker.finish(training.run.folder, training.run.metrics, state.step)


def _train(training: Training) -> State:
    """The loop, from the newest checkpoint to the last step."""
    run, recipe, task, console = training.run, training.recipe, training.task, training.console
    fabric = make_fabric(training.device, recipe.fit.precision)
    optimizers = _set_up(training, fabric)
    training.ema = build_average(recipe, task, training.steps)
    folder = run.folder / "checkpoints"
    folder.mkdir(exist_ok=True)
    keeper = Checkpoints(
        folder, task, optimizers, ema=training.ema, say=console.warn,
        logs={"metrics.jsonl": training.metrics_log, training.health.name: training.health.log},
        about={**run.identity(), "fingerprint": fingerprint(fabric, recipe.fit.precision, compiled=recipe.fit.compile)},
    )  # fmt: skip
    state = _state_of(keeper, training)
    begin_tracking(training, state)
    work, first = _descent(training, fabric, optimizers) if training.solving is None else _solution(training)
    write_batch(run, training.kind, first, training.data)
    health = training.health
    every = [(LOG_EVERY, training.log), (health.every, health.record), _validations(training)]
    every += [(n, partial(watching.write_sheet, training)) for n in (watching.every(training),) if n]
    every += [(n, keeper.commit) for n in (training.per_epoch, recipe.fit.commit_every) if n]
    with (
        catch_signals() as request,
        console.progress("training", training.steps, state.step, training.line) as bar,
        closing(health),
    ):
        training.stop_requested = request
        training.clock.start(training.images_seen(state))

        def watch(step: int) -> None:
            training.pace.stepped()
            health.prepare(step)
            bar.at(step)

        def rescue(state: State) -> None:
            with suppress(Exception):  # the error itself is what matters
                keeper.commit(state)
                run.note(step=state.step)

        if state.owed:
            training.validate(state)
        if not request.signal:
            training.pace.start()
            health.prepare(state.step)
            work(state=state, every=every, watch=watch, stop=request, rescue=rescue)
        if request.signal:
            training.clock.stop(state.step, training.images_seen(state))
            keeper.commit(state)
            run.note(status="stopped", step=state.step, stopped=None)
            kept = "nothing" if keeper.kept is None else f"what came before step {keeper.kept}"
            raise Stopped(
                f"stopped at step {state.step} of {training.steps}; "
                f"{'everything so far' if keeper.kept == state.step else kept} is kept",
                f"resume with: sightline train --resume {run.folder}",
                signal=request.signal,
            )
    return state


def _set_up(training: Training, fabric: Fabric) -> dict[str, torch.optim.Optimizer]:
    """The task on its device, and an optimiser a turn; none for a pipeline."""
    if training.solving is not None:
        training.task.to(fabric.device)
        return {}
    optimizers = build_optimizers(training.recipe, training.task, training.device, training.fine_tuning.pretrained)
    return set_up(fabric, training.task, optimizers, compiled=training.recipe.fit.compile)


def _validations(training: Training) -> tuple[int, Callable[[State], None]]:
    return (training.per_epoch, training.validate) if training.solving is None else (1, validation(training))


def _descent(
    training: Training, fabric: Fabric, optimizers: Mapping[str, torch.optim.Optimizer]
) -> tuple[Callable[..., State], Batch]:
    """`fit` on the stream of training images, and its first batch."""
    recipe, task, images = training.recipe, training.task, training.images["train"]
    augmentation = build_augment(recipe, training.steps, len(task.turns), len(training.data.classes))
    augment = partial(augmentation, seed=recipe.seed)
    order = training.kind.order(recipe, training.data, images)
    stream = Stream(
        images, order or build_order(recipe, images.index.numpy(), training.data.counts()[:, 0]), len(images),
        recipe.fit.batch // recipe.fit.accumulate, recipe.seed,
        workers=0 if isinstance(images, Memory) else recipe.data.workers,  # indexing is faster than a thread
        invite=partial(augmentation.partners, seed=recipe.seed),
    )  # fmt: skip
    plan = TrainingPlan(
        training.steps, training.schedule, recipe.fit.accumulate, recipe.fit.clip or None, recipe.seed, recipe.optim.sam
    )
    work = partial(fit, fabric, task, optimizers, stream.feed, plan, ema=training.ema, augment=augment)
    return work, augment(stream.batch(0))


def descent_of(training: Training, fabric: Fabric) -> Callable[..., State]:
    """`fit` for a training that has been prepared, without its actions."""
    if training.solving is not None:
        raise UsageError("a pipeline is solved, not descended", "choose a network with -m")
    return _descent(training, fabric, _set_up(training, fabric))[0]


def _solution(training: Training) -> tuple[Callable[..., State], Batch]:
    """`solve` over the chunks of the pipeline, and the first images."""
    images, solving = training.images["train"], training.solving
    assert solving is not None
    places = torch.arange(min(len(images), IN_BATCH))
    return partial(solve, solving.advance, training.steps), images(places, places)


def _state_of(keeper: Checkpoints, training: Training) -> State:
    """The newest valid state, or a new one; logs and history are cut back to it."""
    state = keeper.resume()
    if state is None:
        if training.run.fields("run.json").whole("step"):
            training.console.warn(f"{training.run.folder} has no checkpoint: training starts from the beginning")
        state = State()
        training.metrics_log.restart()
        training.health.log.restart()
    else:
        _require_of_plan(state, training)
        training.console.say(f"resumed at step {state.step} of {training.steps}")
    training.write_history(state)
    training.run.note(status="running", step=state.step, stopped=None)
    return state


def _require_of_plan(state: State, training: Training) -> None:
    """DamagedError for a state that this plan cannot have reached."""
    if state.step > training.steps or (state.ended == "finished") != (state.step == training.steps):
        if state.ended == "early" and state.step <= training.steps:
            return
        raise DamagedError(
            f"checkpoints/step-{state.step:08d}/state.json: ended is {state.ended!r} at step {state.step:,} of "
            f"{training.steps:,}",
            "restore the run's own checkpoints, or start a new run with another --out",
        )
